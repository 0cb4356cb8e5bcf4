"""Reading SenseVoice's tags."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr_worker.engines.tags import TaggedText, is_tag, parse_tags


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (
            "<|en|><|HAPPY|><|Speech|><|withitn|>It is 9 o'clock.",
            TaggedText("It is 9 o'clock.", "en", "happy", ("speech",)),
        ),
        (
            "<|zh|><|NEUTRAL|><|BGM|><|woitn|>欢迎大家",
            TaggedText("欢迎大家", "zh", "neutral", ("bgm",)),
        ),
        ("<|nospeech|><|EMO_UNKNOWN|><|Event_UNK|><|woitn|>", TaggedText("")),
        ("no tags", TaggedText("no tags")),
        ("", TaggedText("")),
        ("a < b |> c", TaggedText("a < b |> c")),
    ],
)
def test_tags_become_fields(raw: str, expected: TaggedText) -> None:
    assert parse_tags(raw) == expected


def test_tags_in_the_middle_are_events_and_part_the_words() -> None:
    raw = "<|en|><|SAD|><|Speech|><|woitn|>well <|Laughter|>yes<|HAPPY|><|Speech|>no"
    assert parse_tags(raw) == TaggedText("well yes no", "en", "sad", ("speech", "laughter"))


@given(st.lists(st.sampled_from(["<|en|>", "<|Cry|>", "<|", "|>", "x", " ", "é", "<|?|>"])))
def test_no_complete_tag_is_left_in_the_text(parts: list[str]) -> None:
    text = parse_tags("".join(parts)).text
    assert "<|en|>" not in text
    assert "<|Cry|>" not in text
    assert text == " ".join(text.split())


def test_a_piece_is_a_tag_with_or_without_its_word_mark() -> None:
    assert is_tag("<|en|>")
    assert is_tag("▁<|en|>")
    assert not is_tag("▁the")
