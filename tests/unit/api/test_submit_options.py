"""Form fields as options."""

import pytest

from asr_api.submission.options import check_idempotency_key, parse_options
from asr_core.errors import InvalidOption
from asr_core.task import Lane

POOLS = ("default", "large")


def test_without_fields_the_defaults_hold():
    options = parse_options([], pools=POOLS)
    assert (options.pool, options.lane) == ("default", Lane.NORMAL)
    assert options.task.model_dump() == {
        "language": "auto",
        "itn": False,
        "hotwords": (),
        "speakers": False,
        "channels": "mix",
        "track": None,
    }


def test_empty_fields_count_as_not_sent():
    assert parse_options([("lane", " "), ("language", "")], pools=POOLS).lane is Lane.NORMAL


def test_hotwords_come_with_commas_or_repeated_and_each_once():
    fields = [("hotwords", "Redis, kopf"), ("hotwords", "Redis"), ("hotwords", ",")]
    assert parse_options(fields, pools=POOLS).task.hotwords == ("Redis", "kopf")


@pytest.mark.parametrize(
    ("text", "value"), [("true", True), ("1", True), ("No", False), ("off", False)]
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
        ("track", "0"),
        ("track", "first"),
        ("hotwords", ",".join(f"word{i}" for i in range(101))),
    ],
)
def test_a_value_that_cannot_be_served_names_its_field(name, value):
    with pytest.raises(InvalidOption) as caught:
        parse_options([(name, value)], pools=POOLS)
    assert caught.value.param == name


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


def test_an_idempotency_key_is_one_printable_word():
    assert check_idempotency_key(None) == ""
    assert check_idempotency_key("order-17") == "order-17"
    for key in ("", "a b", "ü", "x" * 256):
        with pytest.raises(InvalidOption):
            check_idempotency_key(key)
