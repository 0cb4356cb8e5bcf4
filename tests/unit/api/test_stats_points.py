"""Buckets folded into points."""

import pytest

from asr_api.stats_plan import POINTS_MAX, pool_stats, step_seconds
from asr_core.queue import StatsBucket


@pytest.mark.parametrize("minutes", [1, 5, 20, 21, 60, 719, 1440])
def test_a_window_never_has_more_than_120_points(minutes):
    step = step_seconds(minutes)
    assert step % 10 == 0
    assert minutes * 60 / step <= POINTS_MAX


def test_points_and_sums_hold_the_same_events():
    buckets = [
        StatsBucket(
            at=1_000_000 + 10 * i,
            arrivals=1,
            completed=i,
            audio_seconds=2.0,
            processing_seconds=0.5,
        )
        for i in range(100)
    ]
    stats = pool_stats(buckets, minutes=60)
    assert stats.arrivals == sum(point.arrivals for point in stats.points) == 100
    assert stats.completed == sum(point.completed for point in stats.points) == 4950
    assert stats.real_time_factor == pytest.approx(0.25)
    assert [point.at for point in stats.points] == sorted(point.at for point in stats.points)


def test_nothing_done_has_no_real_time_factor():
    stats = pool_stats([], minutes=5)
    assert (stats.arrivals, stats.real_time_factor, stats.points) == (0, None, [])
