"""Whisper's windows, and which hypotheses are accepted, repeated or dropped."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr_worker.engines.whisper.hypothesis import (
    Hypothesis,
    avg_logprob,
    better_window,
    compression_ratio,
    most_probable,
)
from asr_worker.engines.whisper.windows import (
    FULL_SECONDS,
    MAX_TOKENS,
    WINDOWS_SECONDS,
    max_tokens,
    window_seconds,
)

SPEECH = Hypothesis((1, 2, 3), "It was the first great sorrow of his life.", -0.1, 0.02)
LOOP = replace(SPEECH, text=" 4-5-5-5" * 30)


@given(st.floats(0, 30))
def test_a_window_holds_its_segment_and_a_second_of_silence_as_far_as_there_is_room(
    seconds: float,
) -> None:
    window = window_seconds(seconds)
    assert window in WINDOWS_SECONDS
    assert window >= min(seconds + 1, FULL_SECONDS)


def test_windows_grow_with_segments_and_only_as_far_as_they_must() -> None:
    lengths = (0.1, 10.9, 11.1, 14.9, 15.1, 19.1, 24.1, 30.0)
    assert [window_seconds(each) for each in lengths] == [12, 12, 16, 16, 20, 25, 30, 30]


def test_the_full_window_has_all_the_room_for_text_and_a_short_one_its_share() -> None:
    assert max_tokens(FULL_SECONDS, 4) == max_tokens(FULL_SECONDS, 200) == MAX_TOKENS
    assert max_tokens(12.0, 4) == 4 + 40 + 12 * 15
    assert max_tokens(25.0, 227) == MAX_TOKENS


def test_probable_words_are_accepted_as_they_are() -> None:
    doubts = (SPEECH.is_no_speech, SPEECH.deserves_full_window, SPEECH.needs_temperature)
    assert doubts == (False, False, False)


def test_what_repeats_itself_and_what_has_no_end_looks_like_a_loop() -> None:
    assert LOOP.compression_ratio > 2.4
    assert LOOP.looks_like_loop
    assert LOOP.deserves_full_window
    assert replace(SPEECH, is_cut_off=True).looks_like_loop
    assert not SPEECH.looks_like_loop


def test_a_probable_repetition_was_said_like_that_and_is_not_sampled() -> None:
    assert not LOOP.needs_temperature


def test_improbable_words_are_decoded_again_and_then_sampled() -> None:
    doubtful = replace(SPEECH, avg_logprob=-1.2)
    assert doubtful.deserves_full_window
    assert doubtful.needs_temperature


@pytest.mark.parametrize(
    ("no_speech_prob", "logprob", "text", "is_dropped"),
    [
        (0.61, -1.01, "Thank you.", True),  # OpenAI's rule
        (0.61, -0.9, "Thank you.", False),
        (0.75, -0.69, "Thank you.", True),
        (0.75, -0.5, "Thank you.", False),
        (0.91, -0.92, "Thank you.", True),  # noise at -60 dB, which that rule lets pass
        (0.93, -0.45, "you", True),  # silence
        (0.93, -0.1, "Yes.", False),  # probable words are kept, whatever is said of speech
        (0.9, -0.07, " 4-5-5-5" * 30, True),
        (0.3, -0.07, " no" * 60, False),
        (0.3, -2.0, "a quiet voice", False),
    ],
)
def test_words_for_what_is_not_speech_are_dropped(
    no_speech_prob: float, logprob: float, text: str, is_dropped: bool
) -> None:
    heard = Hypothesis((1,), text, logprob, no_speech_prob)
    assert heard.is_no_speech is is_dropped
    assert not (is_dropped and (heard.deserves_full_window or heard.needs_temperature))


def test_the_full_window_counts_unless_it_alone_loops() -> None:
    assert better_window(LOOP, SPEECH) is SPEECH
    assert better_window(replace(SPEECH, avg_logprob=-1.5), LOOP).text == SPEECH.text
    other = replace(LOOP, text="ha " * 80)
    assert better_window(LOOP, other) is other


def test_of_improbable_ones_the_most_probable_counts_and_loops_last() -> None:
    low, lower = replace(SPEECH, avg_logprob=-1.3), replace(SPEECH, avg_logprob=-1.9)
    assert most_probable([lower, replace(LOOP, avg_logprob=-1.1), low]) is low
    assert most_probable([LOOP]) is LOOP


def test_measures_are_those_of_openai() -> None:
    assert compression_ratio("") == 0.0
    assert compression_ratio("abc" * 100) > 10
    assert avg_logprob(-0.5, 9) == pytest.approx(-0.45)
