"""Speech that a text left out is found by the words' times and put in its place."""

from __future__ import annotations

import numpy as np

from asr_worker.audio.pcm import FloatArray
from asr_worker.engines.base import SegmentText, Word
from asr_worker.engines.whisper.unheard import unheard_stretches, with_stretch

SECOND = 16_000


def _sound(*levels: float) -> FloatArray:
    """A second of noise of each level."""
    noise = np.random.default_rng(1)
    return np.concatenate([noise.normal(0, level, SECOND) for level in levels]).astype(np.float32)


def _text(text: str, *times: float, **fields: str) -> SegmentText:
    words = tuple(
        Word(word, start, start + 0.5) for word, start in zip(text.split(), times, strict=True)
    )
    return SegmentText(text, words=words, **fields)  # type: ignore[arg-type]


def test_sound_before_between_and_after_words_is_unheard() -> None:
    pcm = _sound(*[0.1] * 12)
    words = _text("one two", 3.0, 7.0).words
    assert unheard_stretches(pcm, words) == [
        (0, 3 * SECOND), (round(3.5 * SECOND), 7 * SECOND), (round(7.5 * SECOND), 12 * SECOND),
    ]  # fmt: skip


def test_pauses_and_quiet_stretches_are_not() -> None:
    pcm = _sound(0.1, 0.1, 1e-3, 1e-3, 1e-3, 0.1)
    assert unheard_stretches(pcm, _text("one two", 1.5, 5.0).words) == []
    assert unheard_stretches(pcm, ()) == []


def test_the_words_of_a_stretch_stand_where_they_were_said() -> None:
    whole = _text("one two, five", 0.0, 1.0, 9.0, language="en")
    merged = with_stretch(whole, _text("three four", 0.5, 1.5, language="de"), 2.0)
    assert merged.text == "one two, three four five"
    assert [word.start_seconds for word in merged.words] == [0.0, 1.0, 2.5, 3.5, 9.0]
    assert merged.language == "en"
    front = with_stretch(_text("five", 9.0), _text("one two", 0.0, 1.0, language="zh"), 0.0)
    assert (front.text, front.language) == ("one two five", "zh")


def test_scripts_without_spaces_join_without_one_and_silence_adds_nothing() -> None:
    chinese = SegmentText("欢迎", words=(Word("欢迎", 0.0, 1.0),))
    assert with_stretch(chinese, SegmentText("大家", words=chinese.words), 3.0).text == "欢迎大家"
    assert with_stretch(chinese, SegmentText(""), 3.0) is chinese


def test_words_that_do_not_stand_in_the_text_garble_nothing() -> None:
    """A tokenizer may spell a word otherwise than the text: then the stretch comes last."""
    text = SegmentText("Guten Tag.", words=(Word("guten", 0, 0.5), Word("Tag", 0.6, 1.0)))
    put = with_stretch(text, _text("good day", 0, 1), 5.0)
    assert put.text == "Guten Tag. good day"
    assert [word.text for word in put.words] == ["guten", "Tag", "good", "day"]
