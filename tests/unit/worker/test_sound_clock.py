"""Where the container's clock puts each frame."""

from __future__ import annotations

import pytest

from asr_worker.audio.decoding.sound_clock import JITTER_SECONDS, SoundClock

FRAME = 0.02


def place(times: list[float | None], origin: float | None = None) -> list[float]:
    """Where each frame of 20 ms begins in the sound."""
    clock = SoundClock((times[0] or 0.0) if origin is None else origin)
    begins = []
    for number, time in enumerate(times):
        gap = clock.gap(time, lambda at=number: [*times, None][at + 1])  # type: ignore[misc]
        clock.advance(gap)
        begins.append(clock.position_seconds)
        clock.advance(FRAME)
    return begins


def steady(start: float, count: int) -> list[float | None]:
    return [start + number * FRAME for number in range(count)]


def test_frames_in_a_row_are_left_as_they_are() -> None:
    assert place(steady(0.0, 50)) == pytest.approx([n * FRAME for n in range(50)])
    jittery = [(time or 0.0) + (0.004 if n % 2 else 0.0) for n, time in enumerate(steady(0.0, 50))]
    assert place([*jittery]) == pytest.approx([n * FRAME for n in range(50)])


def test_short_holes_do_not_add_up() -> None:
    kept = [time for number, time in enumerate(steady(0.0, 5000)) if number % 25 != 24]
    for time, begin in zip(kept, place(kept), strict=True):
        assert time is not None
        assert -1e-6 <= time - begin <= JITTER_SECONDS + 1e-6


@pytest.mark.parametrize("hole", [0.5, 90.0, 7200.0])
def test_a_long_hole_stays_as_long_as_it_was(hole: float) -> None:
    begins = place([*steady(0.0, 10), *steady(0.2 + hole, 10)])
    assert begins[9:11] == pytest.approx([0.18, 0.2 + hole])


def test_a_clock_that_starts_late_delays_nothing_unless_another_track_was_there() -> None:
    assert place(steady(500.0, 3)) == pytest.approx([0.0, 0.02, 0.04])
    assert place(steady(3.0, 3), origin=0.0) == pytest.approx([3.0, 3.02, 3.04])


def test_a_clock_that_is_set_back_goes_on_from_there_and_its_holes_count() -> None:
    begins = place([*steady(100.0, 10), *steady(0.0, 10), *steady(5.2, 2)])
    assert begins[10] == pytest.approx(0.2)
    assert begins[20] == pytest.approx(0.4 + 5.0)


@pytest.mark.parametrize("wrong", [0.0, 1e6, 9e12])
def test_one_wrong_stamp_among_right_ones_moves_nothing(wrong: float) -> None:
    times = steady(100.0, 20)
    times[10] = wrong
    assert place(times) == pytest.approx([n * FRAME for n in range(20)])


def test_frames_without_a_time_follow_the_one_before() -> None:
    assert place([0.0, None, None, 0.06]) == pytest.approx([0.0, 0.02, 0.04, 0.06])
