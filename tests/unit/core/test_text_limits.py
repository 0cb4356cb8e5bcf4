"""Bounds of a task's texts."""

from __future__ import annotations

import pytest

from asr_core import text_limits as limits
from asr_core.errors import InvalidOption
from asr_core.options import OPTIONS, Kind, TaskOptions
from asr_core.queue.record import from_hash, to_hash
from asr_core.task import NewTask
from asr_core.text_limits import HOTWORDS, TextLimit, shortened


def test_an_error_names_the_field_its_limit_and_how_much_came_and_shows_the_beginning() -> None:
    with pytest.raises(InvalidOption) as caught:
        TextLimit(100, 400).check("language", "x" * 60_000)
    assert caught.value.param == "language"
    message = caught.value.message
    assert "60000 characters" in message
    assert "may have 100" in message
    assert len(message) < 250


def test_bytes_are_those_of_utf_8() -> None:
    limit = TextLimit(100, 200)
    assert limit.check("prompt", "é" * 100)
    with pytest.raises(InvalidOption, match="300 bytes in UTF-8, and may have 200"):
        limit.check("prompt", "中" * 100)


def test_the_end_of_a_text_fits_and_begins_with_a_whole_character() -> None:
    limit = TextLimit(100, 200)
    assert limit.ending("中" * 100) == "中" * 66
    assert limit.ending("b" + "a" * 300) == "a" * 100
    assert limit.ending("as it is") == "as it is"
    assert limit.ending("") == ""


def test_what_is_cut_fits_and_ends_with_a_whole_character() -> None:
    limit = TextLimit(100, 200)
    assert limit.cut("中" * 100) == "中" * 66
    assert limit.cut("a" * 300) == "a" * 100
    assert limit.cut("\ud800" * 3) == "???"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([f"word{i}" for i in range(101)], "101 phrases, and may have 100"),
        (["x" * 129], "129 characters, and may have 128"),
        (["中" * 100], "300 bytes in UTF-8, and may have 256"),
        ([f"{i:03}" + "x" * 97 for i in range(100)], "10000 bytes in UTF-8 together"),
    ],
)
def test_words_to_favour_are_bounded_one_by_one_and_together(words: list[str], told: str) -> None:
    with pytest.raises(InvalidOption, match=told):
        HOTWORDS.check("hotwords", words)
    kept = HOTWORDS.fitting(words)
    assert HOTWORDS.check("hotwords", kept) == kept
    assert set(kept) < set(words)


def test_equal_words_count_once() -> None:
    assert HOTWORDS.check("hotwords", ["Redis"] * 500) == ("Redis",)


NEW = NewTask(task_id="1", bytes=0, duration_seconds=0)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("task_id", "x" * 65),
        ("filename", "x" * 256),
        ("content_type", "x" * 129),
        ("webhook", "https://example.com/" + "x" * 2048),
        ("source_url", "https://example.com/" + "中" * 2028),
        ("fingerprint", "x" * 65),
        ("idempotency_key", "x" * 256),
        ("options_ignored", ("x" * 65,)),
        ("options_ignored", ("x",) * 65),
        ("options", TaskOptions(hotwords=("x" * 125_000,))),
    ],
)
def test_no_task_with_a_text_that_is_too_long_comes_to_the_queue(name: str, value: object) -> None:
    with pytest.raises(InvalidOption):
        NewTask(**{**dict(NEW), name: value})


def test_no_text_of_a_task_is_without_a_bound() -> None:
    """Each is in the table, has a pattern of its own, or is made of a few words."""
    bounded = {"task_id", "filename", "content_type", "webhook", "source_url", "fingerprint"}
    bounded |= {"idempotency_key", "options_ignored", "options", "lane"}
    patterned = {"pool", "tenant"}
    numbers = {"bytes", "duration_seconds", "partials"}
    assert set(NewTask.model_fields) == bounded | patterned | numbers
    # Options are bounded where they are declared: those of any other type are refused there.
    for name, field in OPTIONS.items():
        longest = {Kind.TEXT: "x" * 10_000, Kind.WORDS: ("x",) * 10_000 + ("x" * 10_000,)}
        if field.kind in longest:
            options = TaskOptions.model_construct(**{name: longest[field.kind]})
            with pytest.raises(InvalidOption, match=name):
                options.check_texts()


def test_a_record_of_a_release_without_bounds_is_read_as_it_is() -> None:
    fields = to_hash(NEW) | {
        "state": "queued", "created_at": "1", "queued_at": "1", "filename": "x" * 5000,
        "options": TaskOptions(hotwords=("x" * 125_000,)).model_dump_json(),
    }  # fmt: skip
    assert from_hash(fields).options.hotwords == ("x" * 125_000,)


def test_a_task_of_the_largest_texts_takes_some_kilobytes_of_redis() -> None:
    """A task had 138 kB: 7,700 of them filled a gigabyte for everybody."""
    words = HOTWORDS.fitting([f"{i:03}" + "x" * 97 for i in range(100)])
    largest = NewTask(
        task_id="x" * 64,
        filename="é" * 255,
        content_type="x" * 128,
        webhook="https://example.com/" + "é" * 2000,
        source_url="https://example.com/" + "é" * 2000,
        bytes=0,
        duration_seconds=0,
        options=TaskOptions(hotwords=words, prompt="é" * limits.PROMPT.characters),
        fingerprint="x" * 64,
        idempotency_key="x" * 255,
        options_ignored=("x" * 64,) * limits.IGNORED_NAMES_MAX,
    )
    size = sum(len(f"{name}{value}".encode()) for name, value in to_hash(largest).items())
    assert size < 24 * 1024


def test_a_value_in_an_error_is_shortened() -> None:
    assert shortened("a\n") == r"'a\n'"
    assert shortened("x" * 65) == f"'{'x' * 64}'…"


@pytest.mark.parametrize(
    ("limit", "words"),
    [
        (TextLimit(64, 256), "at most 64 characters"),
        (TextLimit(64, 300), "at most 64 characters"),
        (TextLimit(64, 255), "at most 64 characters and 255 bytes"),
        (TextLimit(64, 64), "at most 64 characters and 64 bytes"),
    ],
)
def test_bytes_are_told_where_characters_alone_do_not_bound_them(
    limit: TextLimit, words: str
) -> None:
    assert limit.words == words
    assert limit.schema() == {"type": "string", "maxLength": 64, "description": words}
    told = limit.schema(description="a name", examples=["x"])
    assert (told["description"], told["examples"]) == (f"a name; {words}", ["x"])


def test_a_text_fits_up_to_its_last_character_and_byte() -> None:
    limit = TextLimit(4, 8)
    for text, fits in (("aaaa", True), ("aaaaa", False), ("üüüü", True), ("字字", True)):
        assert limit.fits(text) is fits
        if fits:
            assert limit.check("name", text) == limit.cut(text) == text
    assert not limit.fits("字字a\U0001f600")
    assert limit.cut("字字字") == "字字"
    assert limit.cut("aaaaa") == "aaaa"


def test_of_words_to_favour_those_are_kept_that_fit_in_order_and_once() -> None:
    assert limits.HOTWORDS.fitting(["a", "b", "a", "x" * 129, "c"]) == ("a", "b", "c")
    assert len(limits.HOTWORDS.fitting([f"w{n}" for n in range(200)])) == 100
    wide = [f"{n:02}" + "ü" * 126 for n in range(40)]  # of 254 bytes
    kept = limits.HOTWORDS.fitting([*wide, "x" * 65, "y" * 64])
    assert kept == (*wide[:32], "y" * 64), "8192 bytes hold 32 of them and 64 bytes"
