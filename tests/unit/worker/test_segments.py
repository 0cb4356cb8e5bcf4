"""Cutting long audio: at pauses, within the limits, losing nothing that sounds."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr_worker.audio.pcm import FloatArray
from asr_worker.audio.segments import Span, plan_segments

LOUD, ROOM = 1e-2, 1e-5


def _energy(*stretches: tuple[float, float]) -> FloatArray:
    """Energies of stretches of (seconds, mean square)."""
    parts = [np.full(round(seconds * 100), power) for seconds, power in stretches]
    return np.concatenate(parts).astype(np.float32)


def test_short_audio_is_one_segment() -> None:
    assert plan_segments(_energy((12.0, LOUD)), sample_count=191_999) == [Span(0, 191_999)]


def test_a_cut_lies_in_the_middle_of_the_pause() -> None:
    first, second = plan_segments(_energy((20.0, LOUD), (1.0, ROOM), (20.0, LOUD)))
    assert first.end_seconds == pytest.approx(20.5, abs=0.02)
    assert second == Span(first.end, 41 * 16_000)


def test_a_single_quiet_frame_is_no_pause() -> None:
    energy = _energy((15.0, LOUD), (0.01, 0.0), (9.99, LOUD), (0.6, ROOM), (20.0, LOUD))
    first, _ = plan_segments(energy)
    assert first.end_seconds == pytest.approx(25.3, abs=0.02)


def test_sound_without_a_pause_is_cut_all_the_same() -> None:
    spans = plan_segments(_energy((95.0, LOUD)), max_seconds=30)
    assert spans[0].start == 0
    assert spans[-1].end == 95 * 16_000
    assert all(span.seconds <= 30 for span in spans)


def test_no_scrap_is_left_at_the_end() -> None:
    spans = plan_segments(_energy((29.0, LOUD), (1.2, ROOM)), max_seconds=30)
    assert min(span.seconds for span in spans) >= 1.0


def test_long_digital_silence_is_left_out_and_times_hold() -> None:
    first, second = plan_segments(_energy((5.0, LOUD), (60.0, 0.0), (5.0, LOUD)))
    assert first == Span(0, round(5.3 * 16_000))
    assert second == Span(round(64.7 * 16_000), 70 * 16_000)


def test_short_silence_stays() -> None:
    assert plan_segments(_energy((5.0, LOUD), (1.0, 0.0), (5.0, LOUD))) == [Span(0, 11 * 16_000)]


@pytest.mark.parametrize("seconds", [0.01, 0.5, 1.0, 300.0])
def test_a_silent_recording_has_no_segments(seconds: float) -> None:
    assert plan_segments(_energy((seconds, 0.0))) == []


def test_silence_before_and_after_is_left_out_but_for_a_margin() -> None:
    energy = _energy((5.0, 0.0), (5.0, LOUD), (5.0, 0.0))
    assert plan_segments(energy) == [Span(round(4.7 * 16_000), round(10.3 * 16_000))]
    short = _energy((1.9, 0.0), (5.0, LOUD), (1.9, 0.0))
    assert plan_segments(short) == [Span(0, round(8.8 * 16_000))]
    just_long = _energy((2.0, 0.0), (5.0, LOUD), (2.0, 0.0))
    assert plan_segments(just_long) == [Span(round(1.7 * 16_000), round(7.3 * 16_000))]


def test_a_cut_lies_after_the_first_third_of_the_longest_span() -> None:
    energy = _energy((9.0, LOUD), (0.4, ROOM), (2.0, LOUD), (0.6, ROOM), (25.0, LOUD))
    first, _ = plan_segments(energy)
    assert first.end_seconds == pytest.approx(11.7, abs=0.02)
    early, *_ = plan_segments(energy, min_seconds=1.0)
    late, *_ = plan_segments(energy, min_seconds=20.0)
    assert early.end_seconds == pytest.approx(11.7, abs=0.02)
    assert late.end_seconds >= 20.0


def test_each_span_is_cut_after_its_own_first_third() -> None:
    energy = _energy(
        (20.0, LOUD), (0.5, ROOM), (5.0, LOUD), (0.4, ROOM), (10.0, LOUD), (0.6, ROOM), (25.0, LOUD)
    )
    first, second, _ = plan_segments(energy)
    assert first.end_seconds == pytest.approx(20.25, abs=0.02)
    assert second.end_seconds == pytest.approx(36.2, abs=0.02)


def test_noise_of_rounding_is_as_quiet_as_silence() -> None:
    energy = _energy((12.0, LOUD), (0.4, 0.0), (4.0, LOUD), (0.8, 9e-9), (25.0, LOUD))
    first, _ = plan_segments(energy)
    assert first.end_seconds == pytest.approx(16.8, abs=0.02)


def test_of_equally_quiet_pauses_the_longest_is_cut() -> None:
    pauses = [(0.5, ROOM), (4.0, LOUD)], [(0.9, ROOM), (4.0, LOUD)]
    short, long = pauses
    energy = _energy((12.0, LOUD), *short, *long, *short, (25.0, LOUD))
    first, *_ = plan_segments(energy)
    assert first.end_seconds == pytest.approx(16.5 + 0.45, abs=0.02)


@pytest.mark.parametrize("seconds", [0.55, 0.6, 1.0, 2.35])
def test_spans_shorter_than_a_scrap_are_cut_all_the_same(seconds: float) -> None:
    spans = plan_segments(_energy((seconds, LOUD)), max_seconds=0.5)
    assert spans[0].start == 0
    assert spans[-1].end == round(seconds * 16_000)
    assert all(before.end == after.start for before, after in pairwise(spans))
    assert all(0 < span.seconds <= 0.5 for span in spans)


def test_no_audio_has_no_segments() -> None:
    assert plan_segments(np.empty(0, np.float32)) == []


@given(
    stretches=st.lists(
        st.tuples(st.floats(0.01, 70.0), st.sampled_from([0.0, 1e-9, ROOM, LOUD, 0.3])),
        min_size=1,
        max_size=8,
    ),
    max_seconds=st.sampled_from([2.0, 10.0, 30.0]),
    short=st.integers(0, 159),
)
def test_segments_are_ordered_bounded_and_hold_every_sound(
    stretches: list[tuple[float, float]], max_seconds: float, short: int
) -> None:
    energy = _energy(*stretches)
    total = len(energy) * 160 - short
    spans = plan_segments(energy, sample_count=total, max_seconds=max_seconds)
    assert all(0 < span.end - span.start <= max_seconds * 16_000 for span in spans)
    assert all(left.end <= right.start for left, right in pairwise(spans))
    assert not spans or (spans[0].start >= 0 and spans[-1].end <= total)
    covered = np.zeros(len(energy), bool)
    for span in spans:
        covered[span.start // 160 : -(-span.end // 160)] = True
    assert covered[energy >= 1e-8].all()
