"""Form fields as options."""

import hashlib
import json
import re

import pytest

from asr_api.submission.accept_url import UrlSubmit, read_submit
from asr_api.submission.options import check_idempotency_key, parse_options
from asr_api.submission.schema import form_schema
from asr_core.errors import InvalidOption
from asr_core.options import OPTIONS, Kind, TaskOptions
from asr_core.task import Lane

POOLS = ("default", "large")


def test_without_fields_the_defaults_hold():
    options = parse_options([], pools=POOLS)
    assert (options.pool, options.lane) == ("default", Lane.NORMAL)
    assert options.task == TaskOptions()
    defaults = {
        "language": "auto",
        "itn": False,
        "hotwords": (),
        "speakers": False,
        "channels": "mix",
        "track": None,
        "task": "transcribe",
        "prompt": "",
    }
    assert defaults.items() <= options.task.model_dump().items()


def test_empty_fields_count_as_not_sent():
    assert parse_options([("lane", " "), ("language", "")], pools=POOLS).lane is Lane.NORMAL


def test_hotwords_come_with_commas_or_repeated_and_each_once():
    fields = [("hotwords", "Redis, kopf"), ("hotwords", "Redis"), ("hotwords", ",")]
    assert parse_options(fields, pools=POOLS).task.hotwords == ("Redis", "kopf")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *(("true", True), ("1", True), ("yes", True), ("On", True)),
        *(("false", False), ("0", False), ("No", False), ("off", False)),
    ],
)
def test_a_switch_may_be_written_in_several_ways(text, value):
    assert parse_options([("itn", text)], pools=POOLS).task.itn is value


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("pool", "other"),
        ("lane", "urgent"),
        ("itn", "2"),
        ("speakers", "two"),
        ("language", "klingon"),
        ("channels", "both"),
        ("task", "summarise"),
        ("prompt", "x" * 1025),
        ("track", "0"),
        ("track", "first"),
        ("track", "101"),
        ("hotwords", ",".join(f"word{i}" for i in range(101))),
    ],
)
def test_a_value_that_cannot_be_served_names_its_field(name, value):
    with pytest.raises(InvalidOption) as caught:
        parse_options([(name, value)], pools=POOLS)
    assert caught.value.param == name


@pytest.mark.parametrize("name", ["itn", "speakers"])
def test_a_switch_says_how_it_is_written(name):
    with pytest.raises(InvalidOption, match=f"'{name}' is 'maybe'; it must be true or false"):
        parse_options([(name, "maybe")], pools=POOLS)


@pytest.mark.parametrize("track", [1, 100])
def test_a_track_is_a_number_from_one_to_a_hundred(track):
    assert parse_options([("track", str(track))], pools=POOLS).task.track == track


def test_a_field_sent_twice_must_say_the_same():
    same = parse_options([("lane", "batch"), ("lane", "batch")], pools=POOLS)
    assert same.lane is Lane.BATCH
    with pytest.raises(InvalidOption, match="twice"):
        parse_options([("lane", "batch"), ("lane", "normal")], pools=POOLS)


def test_a_fingerprint_is_equal_exactly_when_audio_and_options_are():
    one = parse_options([("language", "de"), ("lane", "batch")], pools=POOLS)
    same = parse_options([("lane", "batch"), ("language", "de")], pools=POOLS)
    other = parse_options([("language", "fr"), ("lane", "batch")], pools=POOLS)
    assert one.fingerprint("a" * 64) == same.fingerprint("a" * 64)
    assert one.fingerprint("a" * 64) != one.fingerprint("b" * 64)
    assert one.fingerprint("a" * 64) != other.fingerprint("a" * 64)


@pytest.mark.parametrize(
    "field",
    [
        *(("webhook", "https://example.com/"), ("speakers", "true"), ("track", "2")),
        *(("pool", "large"), ("task", "translate"), ("prompt", "Redis, kopf.")),
    ],
)
def test_each_option_is_in_the_fingerprint(field):
    plain, other = parse_options([], pools=POOLS), parse_options([field], pools=POOLS)
    assert plain.fingerprint("a" * 64) != other.fingerprint("a" * 64)


def test_a_fingerprint_is_the_one_of_releases_that_did_not_know_speakers_and_tracks():
    said = '{"lane":"normal","options":{"channels":"mix","hotwords":[],"itn":false,'
    said += '"language":"auto"},"pool":"default"}'
    expected = hashlib.sha256(("a" * 64 + said).encode()).hexdigest()
    assert parse_options([], pools=POOLS).fingerprint("a" * 64) == expected


def test_an_idempotency_key_is_one_printable_word():
    assert check_idempotency_key(None) == ""
    assert check_idempotency_key("order-17") == "order-17"
    for key in ("", "a b", "ü", "x" * 256):
        with pytest.raises(InvalidOption):
            check_idempotency_key(key)


@pytest.mark.parametrize(
    ("fields", "fingerprint"),
    [
        ([], "685c81c200b7b863c9e1769419987e42b38b7c2673440b7e10dfd1d4a952f513"),
        (
            [("language", "de"), ("hotwords", "Redis, kopf"), ("itn", "1"), ("channels", "split")],
            "1e28a2433fb06c4e444e812c66bc4f8314c3c8ee789c0f4f97c34ce54d682598",
        ),
        (
            [("speakers", "true"), ("track", "2"), ("lane", "batch")],
            "79cfb8566377e021df40a590ab019ef3b42311dc9719e4bfd583958f8b7470a6",
        ),
    ],
)
def test_a_fingerprint_is_that_of_earlier_releases(fields, fingerprint):
    """Idempotency keys outlive an upgrade; an option added later must not change these."""
    assert parse_options(fields, pools=POOLS).fingerprint("a" * 64) == fingerprint


EXAMPLES = {Kind.SWITCH: True, Kind.NUMBER: 2, Kind.TEXT: "en", Kind.WORDS: ["Redis", "kopf"]}


@pytest.mark.parametrize("name", OPTIONS)
def test_every_option_is_read_from_a_form_and_from_json_alike_and_is_documented(name):
    field = OPTIONS[name]
    value = field.choices[-1] if field.kind is Kind.CHOICE else EXAMPLES[field.kind]
    text = ",".join(value) if field.kind is Kind.WORDS else str(value)
    body = read_submit(json.dumps({"url": "http://example.com/", name: value}).encode())
    of_form = parse_options([(name, text)], pools=POOLS)
    of_json = parse_options(body.fields(), pools=POOLS)
    assert of_form == of_json
    asked = of_form.task.model_dump(mode="json", exclude_defaults=True)
    assert asked == {name: value}
    for schema in (form_schema(), UrlSubmit.model_json_schema()):
        described = schema["properties"][name]["description"]
        assert described.startswith(field.description)
        ignorable = field.option.needs_engine and not field.option.essential
        assert ("`options_ignored`" in described) is ignorable
        assert ("refuses the task" in described) is field.option.essential


@pytest.mark.parametrize(
    ("text", "said"),
    [("+2", "'+2'"), ("1_0", "'1_0'"), ("٣", "'٣'"), ("101", "1 to 100"), ("1" * 40, "1 to 100")],
)
def test_a_number_is_written_in_digits_and_within_its_bounds(text, said):
    with pytest.raises(InvalidOption, match=re.escape(said)):
        parse_options([("track", text)], pools=POOLS)


def test_a_name_that_is_no_option_is_refused():
    with pytest.raises(InvalidOption, match="'mood' is not an option"):
        parse_options([("mood", "good")], pools=POOLS)
