"""Every parser of what a client controls, with input that is meant to make it slow.

`tests/guard` measures each with it; `make fuzz` sends it to a real API.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from starlette.datastructures import MutableHeaders

from asr_api.egress.target import OutboundUrl
from asr_api.http.behind_proxy import _without_own_host, forwarded_prefix
from asr_api.http.connection import authority_of
from asr_api.http.cors import CorsPolicy
from asr_api.http.filenames import attachment_disposition, clean_filename
from asr_api.http.ranges import parse_range
from asr_api.http.request_context import request_id_of
from asr_api.http.upgrade import head_without_offer
from asr_api.openai_contract.model_names import named
from asr_api.openai_contract.parameters import heed, read_parameters
from asr_api.probe.sniff import other_format
from asr_api.routes.usage import _only_iso
from asr_api.settings.web import is_root_path
from asr_api.submission.accept_url import read_submit
from asr_api.submission.options import TEXT_FIELDS, check_idempotency_key, parse_options
from asr_api.uploads.disposition import parse_disposition
from asr_api.uploads.multipart import FormReader
from asr_core.access.api_key import is_secret
from asr_core.access.hosts import split_authority
from asr_core.languages import language_code
from asr_core.options import TaskOptions
from asr_core.process.logs import mask_credentials
from asr_core.queue import ServedModel
from asr_core.render import ResultFormat, render
from asr_core.result import Transcript, TranscriptSegment, TranscriptWord
from asr_core.store.backend import check_path
from asr_core.store.bucket import _reason

LARGEST = 64_000  # a head, and a field of a form, may have 64 KiB


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
    asked = read_parameters([("model", "m"), (name, value)])
    heed(asked, [ServedModel("m", frozenset({"hotwords"}), frozenset())], strict=False)


def openai_model(value: str) -> None:
    served = [ServedModel("whisper-base", frozenset(), frozenset())]
    named(value, {"default": served}, TaskOptions())


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
    *(
        ("", text)
        for text in ("-", "a", " ", "é", "\u0301", "a ", "é ", "中", "\u200d", "\x00", "-->")
    ),
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
        ("asr_core.languages:_TAG",),
    ),
    Parser(
        "disposition",
        lambda text: parse_disposition(text.encode("latin-1", "replace")),
        (
            ('form-data; name="', ";"), ("form-data", ";"), ("form-data", "; "),
            ("form-data;", " "), ("", ";filename*='"), ("", ";filename*="), ("", ";filename*=a"),
            (";filename*", " "), (";filename*=", " "), (";filename*='", "a"),
            (";filename*=''", "%41"), ("", "; filename"),
            ('form-data; name="', "%0D"), ('form-data; name="', "\\\""), ("", '"'), ("", ';"'),
            ("form-data; a=", "="),
        ),
        ("asr_api.uploads.disposition:_EXTENDED", "asr_api.uploads.disposition:_ESCAPES"),
    ),
    Parser(
        "file name",
        lambda text: attachment_disposition(clean_filename(text), fallback="x"),
        (("", "/"), ("", "\u200b"), ("", "\\"), ("", " "), ("", "é"), ("", "a")),
    ),
    Parser("form", form, (*_FORM, *_HEADERS), ("asr_api.uploads.multipart:_PLACE_IN_LIST",)),
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
        Parser(
            f"form field {name}",
            partial(options, name),
            (("", ","), ("", "a,"), ("", "1"), ("", " a")),
        )
        for name in TEXT_FIELDS
    ),
    *(
        Parser(
            f"OpenAI's field {name}",
            partial(openai, name),
            (
                ("", ","), ("", "a,"), ("", "1"), ("", "["), ('["a"', ',"a"'), ("", "。"),
                ("1e", "9"), ("", " "),
            ),
        )
        for name in (
            "prompt", "keywords", "timestamp_granularities[]", "temperature", "language", "model",
            "stream", "chunking_strategy", "response_format", "include[]", "track",
        )
    ),
    Parser("OpenAI's name of a model", openai_model, (("", "a"), ("", "whisper-"), ("", "/"))),
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
           ("asr_api.settings.web:_ROOT_PATH",)),
    Parser(
        "Host",
        split_authority,
        (("", "a"), ("", "."), ("[", ":"), ("[::%", "a"), ("a:", "0"), ("", "["), ("a", ":")),
        ("asr_core.access.hosts:_AUTHORITY",),
    ),
    Parser(
        "target of a request",
        lambda text: authority_of(text.encode()),
        (("http://", "a"), ("http://", "/"), ("", "http://"), ("http", "://"), ("", "a")),
        ("asr_api.http.connection:authority_of",),
    ),
    Parser("location", location, (("http://host", "/"), ("", "/"), ("http://", "["), ("", "?"))),
    Parser("day", _only_iso, (("", "1"), ("2024-", "-"))),
    Parser(
        "URL",
        OutboundUrl.parse,
        (
            ("http://", "é."), ("http://", "a."), ("http://", "a-"), ("http://[", ":"),
            ("http://h/", "%"), ("http://", "@"), ("http://h:", "0"), ("http://h/?", "é"),
            ("", "http://"), ("http://", "1"), ("http://0x", "f"), ("http://1.", "0x1."),
        ),
        ("asr_api.egress.target:_NUMBER",),
    ),
    Parser(
        "redirect",
        OutboundUrl.parse("http://example.com/a/b").joined,
        (("", "../"), ("", "/./"), ("", "a/"), ("http://", "é."), ("", "?"), ("//", "[")),
    ),
    Parser("head of a file", lambda text: other_format(text.encode()), (("", " "), ("<", " "))),
    Parser(
        "body in JSON",
        lambda text: read_submit(text.encode()),
        (
            ("", "["), ('{"url":', "["), ('{"url": "', "\\u00e9"), ('{"hotwords": [""', ',""'),
            ("", " "), ("", '{"url":'), ('{"track": ', "1"), ('{"url": "u"', ',"a": 1'),
        ),
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
        ("asr_core.process.logs:_SECRET_KEY", "asr_core.process.logs:_SECRET_TEXT"),
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
    "asr_api.routes.docs:_INLINE_SCRIPT": "the page that comes with the package",
    "asr_core.access.hosts:_LISTED": "ASR_ALLOWED_HOSTS",
    "asr_core.keys:__init__": "the table of names in that file",
    "asr_core.keys:lua": "the table of names in that file",
    "asr_api.settings.web:_ORIGIN": "ASR_CORS_ORIGINS",
}
