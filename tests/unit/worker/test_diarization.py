"""Whose words are whose: turns by channel, and segments cut where the speaker changes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from asr_worker.audio.pcm import FloatArray
from asr_worker.audio.segments import Span
from asr_worker.engines.base import SegmentText, SpeakerEmbedding, Word
from asr_worker.transcript import diarization
from asr_worker.transcript.diarization import Turn, split_by_speaker, turns_of
from asr_worker.transcript.segment_result import SegmentResult

RATE = 16_000
A, B = 0, 1


def span(start: float, end: float) -> Span:
    return Span(round(start * RATE), round(end * RATE))


def recognized(text: str, *times: tuple[float, float]) -> SegmentText:
    words = text.split()
    return SegmentText(text, words=tuple(Word(w, *t) for w, t in zip(words, times, strict=False)))


FOUR = recognized("one two three four", (0.1, 0.9), (1.0, 1.8), (2.2, 3.0), (3.1, 3.9))


def pieces(part: SegmentResult, *turns: Turn) -> list[tuple[str, float, float, int | None]]:
    return [
        (piece.recognized.text, piece.span.start_seconds, piece.span.end_seconds, speaker)
        for piece, speaker in split_by_speaker(part, turns)
    ]


def test_a_segment_is_cut_between_two_words_where_the_speaker_changes() -> None:
    part = SegmentResult(span(10, 14), None, FOUR)
    turns = Turn(0, 0.0, 12.0, A), Turn(0, 12.0, 20.0, B)
    assert pieces(part, *turns) == [
        ("one two", 10.0, 11.8, A),
        ("three four", 12.2, 14.0, B),
    ]
    first, second = (piece for piece, _ in split_by_speaker(part, turns))
    assert [(w.start_seconds, w.end_seconds) for w in first.recognized.words] == [
        (0.1, 0.9),
        (1.0, 1.8),
    ]
    times = [time for w in second.recognized.words for time in (w.start_seconds, w.end_seconds)]
    assert times == pytest.approx([0.0, 0.8, 0.9, 1.7])


def test_a_speaker_who_comes_back_has_a_piece_of_its_own_each_time() -> None:
    part = SegmentResult(span(10, 14), None, FOUR)
    turns = Turn(0, 0.0, 11.0, A), Turn(0, 11.0, 13.05, B), Turn(0, 13.05, 20.0, A)
    assert pieces(part, *turns) == [
        ("one", 10.0, 10.9, A), ("two three", 11.0, 13.0, B), ("four", 13.1, 14.0, A),
    ]  # fmt: skip


def test_a_word_is_whose_turn_it_is_in_its_middle_or_whose_is_nearest() -> None:
    part = SegmentResult(span(10, 14), None, recognized("a b", (0.0, 1.0), (1.0, 3.0)))
    assert [s for *_, s in pieces(part, Turn(0, 0, 11.9, A), Turn(0, 11.9, 20, B))] == [A, B]
    assert [s for *_, s in pieces(part, Turn(0, 0, 12.1, A), Turn(0, 12.1, 20, B))] == [A]
    apart = Turn(0, 0, 11.0, A), Turn(0, 12.9, 20, B)
    assert [s for *_, s in pieces(part, *apart)] == [A, B]
    assert [s for *_, s in pieces(part, Turn(0, 0, 11.2, A), Turn(0, 12.9, 20, B))] == [A]


def test_a_piece_never_reaches_beyond_its_segment() -> None:
    """Words of a model may end after the sound that it was given."""
    part = SegmentResult(span(10, 12), None, recognized("a b", (0.0, 2.6), (2.7, 2.9)))
    first, second = pieces(part, Turn(0, 0, 11.9, A), Turn(0, 11.9, 20, B))
    assert first == ("a", 10.0, 12.0, A)
    assert second == ("b", 12.7, 12.7, B)


def test_turns_of_other_channels_do_not_count() -> None:
    part = SegmentResult(span(10, 14), 1, FOUR)
    other = Turn(0, 0.0, 12.0, A), Turn(0, 12.0, 20.0, B)
    assert pieces(part, *other) == [(FOUR.text, 10.0, 14.0, None)]
    assert pieces(part, *other, Turn(1, 0.0, 3.0, B)) == [(FOUR.text, 10.0, 14.0, B)]
    mono = SegmentResult(span(10, 14), None, FOUR)
    assert pieces(mono, Turn(1, 0.0, 20.0, B)) == [(FOUR.text, 10.0, 14.0, None)]


def test_a_segment_near_one_speaker_or_near_none_stays_whole() -> None:
    part = SegmentResult(span(10, 14), None, FOUR)
    assert pieces(part, Turn(0, 0.0, 30.0, B)) == [(FOUR.text, 10.0, 14.0, B)]
    touching = Turn(0, 0.0, 10.0, A), Turn(0, 10.0, 14.0, B), Turn(0, 14.0, 20.0, A)
    assert pieces(part, *touching) == [(FOUR.text, 10.0, 14.0, B)]
    far = Turn(0, 0.0, 2.0, A), Turn(0, 15.0, 20.0, B)
    assert [s for *_, s in pieces(part, *far)] == [B]


def test_without_word_times_a_segment_is_of_whoever_speaks_longest_in_it() -> None:
    part = SegmentResult(span(10, 14), None, SegmentText("one two"))
    turns = Turn(0, 0.0, 11.0, A), Turn(0, 11.0, 12.5, B), Turn(0, 12.5, 13.1, A)
    assert pieces(part, *turns, Turn(0, 13.1, 20.0, A))[0][-1] == A
    assert pieces(part, Turn(0, 0.0, 11.0, A), Turn(0, 11.0, 20.0, B)) == [
        ("one two", 10.0, 14.0, B)
    ]
    wrong = SegmentResult(span(10, 14), None, recognized("one two", (0, 1), (1, 2)))
    unlike = SegmentResult(
        wrong.span, None, SegmentText("other words", words=wrong.recognized.words)
    )
    assert len(split_by_speaker(unlike, [Turn(0, 0.0, 11.0, A), Turn(0, 11.0, 20.0, B)])) == 1


def test_no_grapheme_is_cut_in_two() -> None:
    """A vowel sign that the model took for a word stays with the letter that it stands on."""
    text = SegmentText("xe\u0301 z", words=(
        Word("xe", 0.0, 1.0), Word("\u0301", 2.0, 3.0), Word("z", 3.0, 4.0),
    ))  # fmt: skip
    part = SegmentResult(span(10, 14), None, text)
    turns = Turn(0, 0.0, 11.5, A), Turn(0, 11.5, 20.0, B)
    assert [(t, s) for t, *_, s in pieces(part, *turns)] == [("xe\u0301", A), ("z", B)]


def embeddings(*windows: tuple[float, float, int]) -> SegmentText:
    made = (SpeakerEmbedding(s, e, np.array([label], np.float32)) for s, e, label in windows)
    return SegmentText("", speaker_embeddings=tuple(made))


@pytest.fixture
def _as_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows whose embedding is the same number are one speaker; turns in any order."""

    def turns(
        windows: Sequence[tuple[float, float]], found: FloatArray
    ) -> list[tuple[float, float, int]]:
        assert windows == sorted(windows), "in order of time"
        told = [(*w, int(e[0])) for w, e in zip(windows, found, strict=True)]
        return told[::-1]

    monkeypatch.setattr(diarization, "smoothed_turns", turns)


@pytest.mark.usefixtures("_as_told")
def test_speakers_are_numbered_as_they_begin_to_speak_in_the_recordings_time() -> None:
    later = SegmentResult(span(30, 40), None, embeddings((0.0, 1.5, 7), (1.5, 3.0, 9)))
    first = SegmentResult(span(10, 20), None, embeddings((0.5, 2.0, 9)))
    assert turns_of([later, first]) == [
        Turn(0, 10.5, 12.0, 0), Turn(0, 30.0, 31.5, 1), Turn(0, 31.5, 33.0, 0),
    ]  # fmt: skip
    assert turns_of([SegmentResult(span(0, 1), None, SegmentText("text"))]) == []


@pytest.mark.usefixtures("_as_told")
def test_channels_are_told_apart_and_a_speaker_may_be_in_both() -> None:
    left = SegmentResult(span(20, 30), 0, embeddings((0.0, 1.5, 4)))
    right = SegmentResult(span(10, 20), 1, embeddings((1.0, 2.5, 4), (3.0, 4.5, 5)))
    third = SegmentResult(span(20, 30), 2, embeddings((0.0, 1.5, 5)))
    assert turns_of([left, right, third]) == [
        Turn(1, 11.0, 12.5, 0), Turn(1, 13.0, 14.5, 1), Turn(0, 20.0, 21.5, 0),
        Turn(2, 20.0, 21.5, 1),
    ]  # fmt: skip
