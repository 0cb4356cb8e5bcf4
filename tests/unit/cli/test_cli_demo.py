from __future__ import annotations

import pytest

from asr_cli.local.demo import spoken_words, transcript_is_right


def test_case_and_punctuation_do_not_count() -> None:
    assert transcript_is_right("Good morning, it's nine o'clock.", "good morning its nine oclock")


@pytest.mark.parametrize("heard", ["", "good", "good morning morning", "morning good"])
def test_other_words_are_wrong(heard: str) -> None:
    assert not transcript_is_right(heard, "good morning")


def test_words_of_any_script_are_kept() -> None:
    assert spoken_words("你好，世界！ Ünï") == ["你好", "世界", "ünï"]


@pytest.mark.parametrize(
    "heard",
    [
        "On Monday, the 21st of June. My number is 7305.",
        "on monday the twenty first of june my number is seven three zero five",
        "On Monday the twenty-first of June, my number is 730-5.",
    ],
)
def test_numbers_may_be_in_words_or_in_digits(heard: str) -> None:
    expected = "on monday the twenty first of june my number is seven three zero five"
    assert transcript_is_right(heard, expected)


@pytest.mark.parametrize("heard", ["the 20th", "the 1st", "the 22nd", "the 20 first", "the 21"])
def test_other_numbers_are_wrong(heard: str) -> None:
    assert not transcript_is_right(heard, "the twenty first")
