"""Words with times, from tokens and their alignment."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from asr_worker.engines.whisper.word_times import Alignment, timed_words, token_starts

Words = list[tuple[str, float, float]]


def _words(pieces: Sequence[str | bytes], frames: Sequence[int], *, seconds: float = 60.0) -> Words:
    """Of tokens that are written as these pieces and begin at these frames; the last is the end."""
    written = [piece.encode() if isinstance(piece, str) else piece for piece in pieces]

    def decode(tokens: Sequence[int]) -> str:
        return b"".join(written[token] for token in tokens).decode(errors="replace")

    alignment = Alignment(list(enumerate(frames)), [0.5] * len(pieces))
    words = timed_words(range(len(pieces)), decode, alignment, seconds=seconds)
    assert all(word.confidence == pytest.approx(0.5) for word in words)
    return [(word.text, word.start_seconds, word.end_seconds) for word in words]


def test_tokens_join_to_words_at_spaces() -> None:
    pieces = [" fel", "low", " Amer", "icans"]
    assert _words(pieces, [0, 10, 20, 35, 50]) == [("fellow", 0, 0.4), ("Americans", 0.4, 1.0)]


def test_punctuation_belongs_to_its_word_and_takes_no_time() -> None:
    found = _words([" life", ".", " It", " was"], [0, 20, 60, 80, 100])
    assert [each[0] for each in found] == ["life.", "It", "was"]
    assert found[0] == ("life.", 0, 0.4)
    quoted = _words([" “", "Yes", ",", "”", " he"], [0, 10, 20, 22, 24, 40])
    assert [each[0] for each in quoted] == ["“Yes,”", "he"]
    assert quoted[0][1:] == (0.2, 0.4)
    assert [each[0] for each in _words([" 3", ".", "5", " per"], [0, 5, 9, 20, 30])] == [
        "3.5",
        "per",
    ]
    assert [each[0] for each in _words([" don", "'", "t"], [0, 5, 9, 20])] == ["don't"]


def test_scripts_without_spaces_have_a_word_for_each_token_of_whole_characters() -> None:
    character = "験".encode()
    pieces = ["大家", character[:2], character[2:], "。", "「", "是", "」", "AI", "吗", "?"]
    found = _words(pieces, [0, 10, 20, 30, 40, 45, 50, 60, 70, 80, 90])
    assert [each[0] for each in found] == ["大家", "験。", "「是」", "AI", "吗?"]
    assert found[1] == ("験。", 0.2, 0.6)


def test_a_text_that_ends_within_a_character_keeps_all_other_words() -> None:
    found = _words([" yes", " ", "験".encode()[:2]], [0, 10, 20, 30])
    assert found[0] == ("yes", 0, 0.2)


def test_a_word_after_a_pause_is_not_given_the_pause() -> None:
    found = _words([" one", " two", " three", ",", " four"], [100, 110, 120, 130, 130, 300])
    assert found[0] == ("one", 2.0, 2.2)
    assert found[-1] == ("four", pytest.approx(5.6), 6.0)
    first = _words([" one", " two", " three"], [0, 100, 110, 120])
    assert first[0] == ("one", pytest.approx(1.6), 2.0)


def test_words_end_with_their_segment() -> None:
    found = _words([" one", " two"], [0, 50, 200], seconds=1.5)
    assert found == [("one", 0, 1.0), ("two", 1.0, 1.5)]


def test_no_token_starts_before_the_one_before_it() -> None:
    assert token_starts([(0, 5), (0, 6), (1, 4), (3, 50)], 3) == [0.1, 0.1, 1.0, 1.0]
    assert token_starts([], 2) == [0, 0, 0]


def test_nothing_said_is_no_word() -> None:
    assert _words([], [0]) == []
