"""From probabilities to regions of speech: thresholds, pauses, margins, and streams."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr_core.voice.regions import (
    FRAME_SAMPLES,
    Following,
    Region,
    SpeechRules,
    finish,
    follow,
    padded,
    regions_of,
    union_seconds,
)

RULES = SpeechRules()


def _frames(*parts: tuple[int, float]) -> list[float]:
    return [value for count, value in parts for _ in range(count)]


def _in_frames(regions: list[Region]) -> list[tuple[int, int]]:
    return [(start // FRAME_SAMPLES, end // FRAME_SAMPLES) for start, end in regions]


def test_a_region_begins_above_one_threshold_and_ends_below_the_other() -> None:
    # What lies between the two, before: nothing yet; after: still speech.
    probabilities = _frames((5, 0.1), (3, 0.45), (20, 0.95), (3, 0.45), (10, 0.1))
    assert _in_frames(regions_of(probabilities)) == [(8, 31)]


def test_a_pause_between_words_does_not_end_a_region_and_a_longer_one_does() -> None:
    word, short, long = (20, 0.95), (3, 0.1), (4, 0.1)
    assert _in_frames(regions_of(_frames(word, short, word))) == [(0, 43)]
    assert _in_frames(regions_of(_frames(word, long, word))) == [(0, 20), (24, 44)]


@pytest.mark.parametrize(
    ("frames", "probability", "is_speech"),
    [(4, 0.99, False), (5, 0.99, True), (5, 0.7, False), (40, 0.7, False), (60, 0.55, True)],
)
def test_what_is_short_is_speech_only_if_the_model_is_sure_of_it(
    frames: int, probability: float, is_speech: bool
) -> None:
    found = regions_of(_frames((10, 0.0), (frames, probability), (10, 0.0)))
    assert bool(found) is is_speech


def test_the_quiet_after_a_word_does_not_make_it_less_sure() -> None:
    assert _in_frames(regions_of(_frames((6, 0.8), (3, 0.0)))) == [(0, 6)]


def test_speech_at_the_edges_is_kept() -> None:
    assert _in_frames(regions_of(_frames((10, 0.9)))) == [(0, 10)]
    assert _in_frames(regions_of(_frames((10, 0.9), (50, 0.0), (10, 0.9)))) == [(0, 10), (60, 70)]
    assert regions_of([]) == []


@given(
    st.lists(st.floats(0, 1, width=32), max_size=200),
    st.lists(st.integers(0, 200), max_size=10),
)
def test_a_stream_gives_the_regions_of_the_whole(values: list[float], cuts: list[int]) -> None:
    state, found = Following(), []
    edges = [0, *sorted(min(cut, len(values)) for cut in cuts), len(values)]
    for first, last in pairwise(edges):
        closed, state = follow(values[first:last], state)
        found += closed
    assert found + finish(state) == regions_of(values)


@given(st.lists(st.floats(0, 1, width=32), max_size=300))
def test_regions_are_in_order_apart_and_as_long_as_the_rules_demand(values: list[float]) -> None:
    found = regions_of(values)
    position = -1
    for start, end in found:
        assert position < start < end <= len(values) * FRAME_SAMPLES
        assert Region(start, end).seconds >= RULES.min_speech_seconds
        position = end


def test_a_stream_tells_whether_somebody_speaks() -> None:
    _, state = follow(_frames((10, 0.1)))
    assert not state.is_speech
    _, state = follow(_frames((10, 0.9)), state)
    assert state.is_speech
    _, state = follow(_frames((10, 0.1)), state)
    assert not state.is_speech


def test_margins_join_what_they_reach_and_stay_within_the_recording() -> None:
    second, whole = 16_000, Region(0, 100 * 16_000)
    regions = [Region(second // 2, 2 * second), Region(3 * second, 4 * second)]
    far = Region(50 * second, 51 * second)
    assert padded([*regions, far], 1.0, whole) == [
        Region(0, 5 * second), Region(49 * second, 52 * second),
    ]  # fmt: skip
    assert padded([], 1.0, whole) == []


def test_a_gap_that_is_hardly_one_is_kept() -> None:
    second = 16_000
    within = Region(10 * second, 30 * second)
    one, other = Region(12 * second, 15 * second), Region(int(17.5 * second), 28 * second)
    joined = padded([one, other], 1.0, within, min_gap_seconds=1.5)
    assert joined == [within]
    assert padded([one, other], 1.0, within, min_gap_seconds=0.4) == [
        Region(11 * second, 16 * second), Region(int(16.5 * second), 29 * second),
    ]  # fmt: skip


def test_seconds_that_two_channels_share_count_once() -> None:
    second = 16_000
    first = [Region(0, 5 * second), Region(20 * second, 21 * second)]
    second_channel = [Region(3 * second, 8 * second)]
    assert union_seconds([*first, *second_channel]) == 9
    assert union_seconds([]) == 0
