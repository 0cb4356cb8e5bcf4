"""Every parser of what a client controls takes time that grows no faster than its input.

Judged by doubling, on the processor time of this thread: over three doublings, eight times as much
input, the time may grow 24 times; that of a parser that looks at every pair of bytes grows 64 times.
"""

from __future__ import annotations

import ast
import importlib
import re
import re._constants as sre  # type: ignore[import-not-found]
import re._parser as sre_parser  # type: ignore[import-not-found]
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from asr_api.behind_proxy import _without_own_host, forwarded_prefix
from asr_api.cors import CorsPolicy
from asr_api.courier.target import Target
from asr_api.disposition import parse_disposition
from asr_api.filenames import attachment_disposition, clean_filename
from asr_api.languages import language_code
from asr_api.multipart import FormReader
from asr_api.openai_contract.parameters import read_parameters
from asr_api.options import check_idempotency_key, parse_options
from asr_api.probe.sniff import other_format
from asr_api.ranges import parse_range
from asr_api.request_context import request_id_of
from asr_api.routes.usage import _only_iso
from asr_api.upgrade import head_without_offer
from asr_api.url_intake import read_submit
from asr_core.access.api_key import is_secret
from asr_core.errors import AsrError
from asr_core.logs import mask_credentials
from asr_core.render import ResultFormat, render
from asr_core.result import Transcript, TranscriptSegment, TranscriptWord
from asr_core.store.backend import check_path
from asr_core.store.bucket import _reason
from asr_core.web_settings import WebSettings, is_root_path
from starlette.datastructures import MutableHeaders

ROOT = Path(__file__).parents[2]
LARGEST = 64_000  # a head, and a field of a form, may have 64 KiB
TIMES = 8
MOST_GROWTH = 24.0
NOISE_SECONDS = 0.0003
STUCK_SECONDS = 30.0


@dataclass(frozen=True)
class Parser:
    """`hostile` are units that are repeated, `{}` in the place where, up to `largest` characters;
    `covers` are the regular expressions that this parser uses, by module and name.
    """

    name: str
    read: Callable[[str], Any]
    hostile: tuple[tuple[str, str], ...]
    covers: tuple[str, ...] = ()
    largest: int = LARGEST


def form(body: str, *, piece: int = 0) -> None:
    reader = FormReader(
        "multipart/form-data; boundary=X",
        file_fields=("file",),
        text_fields=("model",),
        any_field=True,
    )
    data = body.encode()
    for start in range(0, len(data), piece or max(1, len(data))):
        reader.feed(data[start : start + (piece or len(data))])
    reader.close()


def content_type(value: str) -> None:
    FormReader(value, file_fields=("file",), text_fields=())


def header(name: bytes, value: str) -> dict[str, Any]:
    return {"type": "http", "headers": [(name, value.encode("latin-1"))]}


def preflight(asked: str) -> None:
    headers = [
        (b"origin", asked.encode()),
        (b"access-control-request-method", asked.encode()),
        (b"access-control-request-headers", asked.encode()),
    ]
    policy = CorsPolicy(("*",))
    policy.is_preflight("OPTIONS", headers)
    policy.reply_headers(headers)
    policy.preflight_headers(headers)


def location(value: str) -> None:
    _without_own_host(MutableHeaders({"location": value}), "host")


def options(name: str, value: str) -> None:
    parse_options([(name, value)], pools=("default",))


def openai(name: str, value: str) -> None:
    read_parameters([("model", "m"), (name, value)])


def openai_name(name: str) -> None:
    read_parameters([("model", "m"), (name, "x")])


def transcript(form: ResultFormat, text: str, *, worded: bool = False) -> None:
    words = tuple(
        TranscriptWord(start_seconds=0, end_seconds=1, text=word)
        for word in (text.split() if worded else ())
    )
    segment = TranscriptSegment(start_seconds=0, end_seconds=9e6, text=text, words=words)
    render(
        Transcript(
            text=text, language="en", duration_seconds=9e6, segments=(segment,),
            model="m", engine="e", device="cpu",
        ),
        form,
    )  # fmt: skip


def masked(text: str) -> None:
    mask_credentials(None, "", {"event": text, text: "x"})


_HEAD = '--X\r\nContent-Disposition: form-data; name="model"\r\n\r\n'
_FORM = (("", "a"), ("--Y\r\n", "a"), (_HEAD, "\r\n--"), (_HEAD, "\r\n--X-"), (_HEAD, "\n-"))
_HEADERS = (
    ('--X\r\nContent-Disposition: form-data; name="', 'a"'),
    ("--X\r\n", "a"), ("--X\r\n", "a: b\r\n"), ("--X\r\n", "a:"),
    ("", '--X\r\nContent-Disposition: form-data; name="model"\r\n\r\n\r\n'),
    ("", '--X\r\nContent-Disposition: form-data; name="a[1"\r\n\r\n\r\n'),
)  # fmt: skip
_WORDS = (
    *(("", text) for text in ("-", "a", " ", "é", "\u0301", "a ", "é ", "中", "\u200d", "\x00", "-->")),
    *(("a", text) for text in (" ", "\u0301", "\u00ad", "\u2800", "👩\u200d")),
)

PARSERS = (
    Parser(
        "range",
        lambda text: parse_range(text, 100),
        (
            ("bytes=1-", " "), ("bytes", " "), ("", " "), ("bytes=", " "), ("bytes=1", " "),
            ("bytes=", "1"), ("bytes=1-", "1"), ("", "bytes="), ("bytes=", "0-1,"),
        ),
    ),
    Parser(
        "language",
        language_code,
        (("en", "-a"), ("en", "-abcdefgh"), ("", "a"), ("", " "), ("zh", "_")),
        ("asr_api.languages:_TAG",),
    ),
    Parser(
        "disposition",
        lambda text: parse_disposition(text.encode("latin-1", "replace")),
        (
            ('form-data; name="', ";"), ("form-data", ";"), ("form-data", "; "), ("form-data;", " "),
            ("", ";filename*='"), ("", ";filename*="), ("", ";filename*=a"), (";filename*", " "),
            (";filename*=", " "), (";filename*='", "a"), (";filename*=''", "%41"), ("", "; filename"),
            ('form-data; name="', "%0D"), ('form-data; name="', "\\\""), ("", '"'), ("", ';"'),
            ("form-data; a=", "="),
        ),
        ("asr_api.disposition:_EXTENDED", "asr_api.disposition:_ESCAPES"),
    ),
    Parser(
        "file name",
        lambda text: attachment_disposition(clean_filename(text), fallback="x"),
        (("", "/"), ("", "\u200b"), ("", "\\"), ("", " "), ("", "é"), ("", "a")),
    ),
    Parser("form", form, (*_FORM, *_HEADERS), ("asr_api.multipart:_PLACE_IN_LIST",)),
    Parser("form in pieces", partial(form, piece=1), _FORM, largest=LARGEST // 2),
    Parser(
        "content type",
        content_type,
        (
            ('multipart/form-data; a="', ";"), ("multipart/form-data", ";"), ("", ";"), ("", " "),
            ("multipart/form-data;boundary=", "X"), ("multipart/form-data", '; a="'),
        ),
    ),
    Parser(
        "preflight",
        preflight,
        (("", "a, "), ("", " "), ("", "a"), ("\x01", "a")),
    ),
    Parser(
        "request id",
        lambda text: request_id_of(header(b"x-request-id", text)),
        (("", "a"), ("", "."), ("", " ")),
    ),
    Parser("idempotency key", check_idempotency_key, (("", "a"), ("", "\u00fc"))),
    *(
        Parser(f"form field {name}", partial(options, name), (("", ","), ("", "a,"), ("", "1"), ("", " a")))
        for name in ("hotwords", "language", "track", "itn", "pool", "lane", "channels", "webhook")
    ),
    *(
        Parser(
            f"OpenAI's field {name}",
            partial(openai, name),
            (("", ","), ("", "a,"), ("", "1"), ("", "["), ('["a"', ',"a"'), ("", "。"), ("1e", "9"), ("", " ")),
        )
        for name in (
            "prompt", "keywords", "timestamp_granularities[]", "temperature", "language", "model",
            "stream", "chunking_strategy", "response_format", "include[]", "track",
        )
    ),
    Parser("OpenAI's field of another name", openai_name, (("", "["), ("", "é"), ("a", "[1]"))),
    Parser(
        "offer to upgrade",
        lambda text: head_without_offer(b"GET", b"/", "1.1", [(b"connection", text.encode())]),
        (("", "a,"), ("", ","), ("", " ,"), ("", "upgrade,")),
    ),
    Parser(
        "prefix of a proxy",
        forwarded_prefix,
        (("", "/"), ("", "/a"), ("", ","), ("", "/a,"), ("", " "), ("/", "a.")),
    ),
    Parser("path under which it is shown", is_root_path, (("", "/a"), ("", "/"), ("/", "a.")),
           ("asr_core.web_settings:_ROOT_PATH",)),
    Parser("location", location, (("http://host", "/"), ("", "/"), ("http://", "["), ("", "?"))),
    Parser("day", _only_iso, (("", "1"), ("2024-", "-"))),
    Parser(
        "URL",
        Target.parse,
        (("http://", "é."), ("http://", "a."), ("http://", "a-"), ("http://[", ":"), ("http://h/", "%"),
         ("http://", "@"), ("http://h:", "0"), ("http://h/?", "é"), ("", "http://")),
    ),
    Parser(
        "redirect",
        Target.parse("http://example.com/a/b").joined,
        (("", "../"), ("", "/./"), ("", "a/"), ("http://", "é."), ("", "?"), ("//", "[")),
    ),
    Parser("head of a file", lambda text: other_format(text.encode()), (("", " "), ("<", " "))),
    Parser(
        "body in JSON",
        lambda text: read_submit(text.encode()),
        (("", "["), ('{"url":', "["), ('{"url": "', "\\u00e9"), ('{"hotwords": [""', ',""'), ("", " "),
         ("", '{"url":'), ('{"track": ', "1"), ('{"url": "u"', ',"a": 1')),
    ),
    Parser("API key", is_secret, (("asr_", "a"), ("", "asr_"))),
    Parser(
        "line of a log",
        masked,
        (
            ("", "a."), ("", "a"), ("", "a+b-"), ("", "a://"), ("", "a://b"), ("", "Bearer "),
            ("Bearer", " "), ("?", "a"), ("?", "sig"), ("", "?token"), ("", "&key="), ("", "asr_"),
            ("", "a://@"), ("", "_token"),
        ),
        ("asr_core.logs:_SECRET_KEY", "asr_core.logs:_SECRET_TEXT"),
    ),
    Parser("path in the store", check_path, (("", "a/"), ("", "a"), ("", "/"))),
    Parser(
        "answer of a bucket",
        lambda text: _reason(Exception(text)),
        (("", "?"), ("?", "a"), ("", "InvalidCertificate("), ("InvalidCertificate(", " ")),
        ("asr_core.store.bucket:_reason", "asr_core.store.bucket:_CERTIFICATE"),
    ),
    *(
        Parser(
            f"transcript as {form.value}",
            partial(transcript, form),
            _WORDS,
            ("asr_core.render:_ARROW", "asr_core.subtitle_lines:unbroken"),
            largest=LARGEST // 8,
        )
        for form in (ResultFormat.TEXT, ResultFormat.SRT, ResultFormat.VTT)
    ),
    Parser(
        "transcript with words as srt",
        partial(transcript, ResultFormat.SRT, worded=True),
        (("", "a "), ("", "é "), ("", "- "), ("", "aa a ")),
        largest=LARGEST // 8,
    ),
)  # fmt: skip
# Read at start from the settings or from files of our own, never from a request.
OF_OUR_OWN = {
    "asr_api.pages.files:_LINKS": "the pages that come with the package",
    "asr_core.web_settings:_ORIGIN": "ASR_CORS_ORIGINS",
}


@contextmanager
def stuck_after(seconds: float) -> Iterator[None]:
    """Ends what is exponential: `re` heeds signals."""

    def stop(*_: object) -> None:
        raise AssertionError(f"not done after {seconds:g} s of processor time")

    before = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def seconds_of(read: Callable[[str], Any], text: str, tries: int) -> float:
    """The least of several."""
    least = float("inf")
    for _ in range(tries):
        began = time.thread_time()
        # A refusal is an answer; what is no refusal (RecursionError, AttributeError) is a 500.
        with suppress(AsrError, ValueError):
            read(text)
        least = min(least, time.thread_time() - began)
    return least


def growth(read: Callable[[str], Any], make: Callable[[int], str], largest: int) -> float:
    """By how many times the time grew at worst over three doublings. It stops at the first size
    that is too much: a whole input would take minutes.
    """
    worst, before = 0.0, None
    for size in (largest // TIMES**3, largest // TIMES**2, largest // TIMES, largest):
        taken = seconds_of(read, make(size), tries=1 if size == largest else 3)
        if before is not None:
            worst = max(worst, taken / (before + NOISE_SECONDS))
            if worst > MOST_GROWTH:
                break
        before = taken
    return worst


def repeated(start: str, unit: str, size: int) -> str:
    """It ends with what fits nothing: an expression that has matched looks no further."""
    return start + unit * ((size - len(start)) // len(unit)) + "!"


def grows_too_fast(parser: Parser, start: str, unit: str) -> float:
    """0 where it does not. What a busy machine slows down once it does not slow down each time."""
    for _ in range(3):
        with stuck_after(STUCK_SECONDS):
            found = growth(parser.read, partial(repeated, start, unit), parser.largest)
        if found <= MOST_GROWTH:
            return 0.0
    return found


@pytest.mark.parametrize("parser", PARSERS, ids=lambda parser: parser.name)
def test_a_parser_of_what_a_client_sends_grows_no_faster_than_its_input(parser: Parser) -> None:
    found = {case: times for case in parser.hostile if (times := grows_too_fast(parser, *case))}
    assert not found, f"{parser.name}: {TIMES} times as much takes {found} times as long"


def test_the_measure_sees_an_expression_that_backtracks() -> None:
    """The one of `Range` that blocked the API for 12.8 s."""
    old = re.compile(r"^\s*bytes\s*=\s*(\d{0,18})\s*-\s*(\d{0,18})\s*$", re.IGNORECASE)
    assert grows_too_fast(Parser("old", old.match, ()), "bytes=1-", " ")


# The guard: no expression in these rooms that nobody thought of.


@dataclass(frozen=True)
class Expression:
    """One use of `re`; `place` is the module, and the name that it has there or the function."""

    place: str
    pattern: str | None
    flags: int = 0


def expressions() -> Iterator[Expression]:
    for room in ("api/asr_api", "core/asr_core"):
        for file in sorted((ROOT / room).rglob("*.py")):
            module = ".".join(file.relative_to(ROOT).with_suffix("").parts[1:])
            yield from _of_module(module.removesuffix(".__init__"), ast.parse(file.read_text()))


def _of_module(module: str, tree: ast.Module) -> Iterator[Expression]:
    for node in ast.walk(tree):
        is_renamed = isinstance(node, ast.ImportFrom) and node.module in ("re", "regex")
        is_renamed |= isinstance(node, ast.Import) and any(
            name.name == "regex" or (name.name == "re" and name.asname) for name in node.names
        )
        assert not is_renamed, f"{module}: write `import re`, so that this test finds its uses"
    for statement in _statements(tree):
        for node in ast.walk(statement):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and isinstance(node.func.value, ast.Name)
                and node.func.value.id == "re"
                and node.func.attr != "escape"
            ):
                yield _expression(f"{module}:{_name(statement)}", node)


def _statements(tree: ast.Module) -> Iterator[ast.stmt]:
    for statement in tree.body:
        if isinstance(statement, ast.ClassDef):
            yield from statement.body
        else:
            yield statement


def _name(statement: ast.stmt) -> str:
    match statement:
        case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
            return name
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
            return name
    return f"line {statement.lineno}"


def _expression(place: str, call: ast.Call) -> Expression:
    """From the program where it has a name, since parts may come from other names."""
    module, _, name = place.partition(":")
    made = getattr(importlib.import_module(module), name, None)
    if isinstance(made, re.Pattern) and isinstance(made.pattern, str):
        return Expression(place, made.pattern, made.flags & ~re.UNICODE)
    first = call.args[0]
    text = first.value if isinstance(first, ast.Constant) else None
    return Expression(place, text if isinstance(text, str) else None)


def is_harmless(pattern: str, flags: int) -> bool:
    """Whether it cannot backtrack far, by its form: it reads a bounded number of characters with no
    repetition within another, or is nothing but one repetition of single characters.
    """
    parsed = sre_parser.parse(pattern, flags)
    if len(parsed) == 1 and parsed[0][0] in (sre.MAX_REPEAT, sre.IN, sre.LITERAL):
        operation, argument = parsed[0]
        return operation is not sre.MAX_REPEAT or _is_one_character(argument[2])
    return parsed.getwidth()[1] <= 300 and not _nests(parsed, inside=False)


def _is_one_character(parsed: Any) -> bool:
    return len(parsed) == 1 and parsed[0][0] in (sre.IN, sre.LITERAL, sre.NOT_LITERAL, sre.ANY)


def _nests(parsed: Any, *, inside: bool) -> bool:
    """Whether a repetition holds another one, or a choice."""
    for operation, argument in parsed:
        if operation in (sre.MAX_REPEAT, sre.MIN_REPEAT):
            _, most, body = argument
            if inside or _nests(body, inside=most > 1):
                return True
        elif operation is sre.SUBPATTERN:
            if _nests(argument[-1], inside=inside):
                return True
        elif operation is sre.BRANCH:
            if inside or any(_nests(one, inside=False) for one in argument[1]):
                return True
    return False


def test_every_regular_expression_is_harmless_by_its_form_or_has_hostile_input_here() -> None:
    covered = {place for parser in PARSERS for place in parser.covers} | set(OF_OUR_OWN)
    found = list(expressions())
    assert found
    unknown = [
        one.place
        for one in found
        if one.place not in covered
        and (one.pattern is None or not is_harmless(one.pattern, one.flags))
    ]
    assert not unknown, f"give them hostile input in PARSERS of this file: {unknown}"
    gone = covered - {one.place for one in found}
    assert not gone, f"these are not there any more: {gone}"


@pytest.mark.parametrize(
    "pattern",
    [r"\s*a\s*$", r"(a+)+", r"(a|b)*c", r"(a|a){0,30}", r"-{2,}>", r".*x", r"(?:[a-z]{2}){3}[0-9]+"],
)
def test_the_guard_takes_no_expression_for_harmless_that_may_backtrack(pattern: str) -> None:
    assert not is_harmless(pattern, 0)


@pytest.mark.parametrize("pattern", [r"[a-z]+", r"[\x21-\x7e]{1,255}", r"\d{4}-\d{2}", r"a|b", r"x?y?"])
def test_the_guard_lets_expressions_be_that_cannot(pattern: str) -> None:
    assert is_harmless(pattern, 0)
