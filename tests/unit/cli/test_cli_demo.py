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
