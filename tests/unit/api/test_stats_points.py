"""Buckets folded into points."""

import pytest

from asr_api.monitoring.stats import POINTS_MAX, percentiles, pool_stats, step_seconds
from asr_api.schemas.queue import Percentiles
from asr_core.queue import StatsBucket


@pytest.mark.parametrize("minutes", [1, 5, 20, 21, 60, 719, 1440])
def test_a_window_never_has_more_than_120_points(minutes):
    step = step_seconds(minutes)
    assert step % 10 == 0
    assert minutes * 60 / step <= POINTS_MAX


@pytest.mark.parametrize(
    ("minutes", "seconds"), [(1, 10), (20, 10), (21, 20), (60, 30), (719, 360), (1440, 720)]
)
def test_points_are_as_narrow_as_may_be(minutes, seconds):
    assert step_seconds(minutes) == seconds


def test_a_percentile_is_linear_within_its_bucket():
    # of 12 from 2^5.5 to 2^6 ms, of 20 from 2^9.5 to 2^10, of 0 from nothing to 1
    assert percentiles({12: 90, 20: 10}) == Percentiles(p50=0.0557, p95=0.874, p99=0.994)
    assert percentiles({0: 10}) == Percentiles(p50=0.0005, p95=0.0009, p99=0.001)
    assert percentiles({0: 1, 1: 1}) == Percentiles(p50=0.001, p95=0.0014, p99=0.0014)


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
    stats = pool_stats(buckets, step_seconds=30)
    assert stats.arrivals == sum(point.arrivals for point in stats.points) == 100
    assert stats.completed == sum(point.completed for point in stats.points) == 4950
    assert stats.real_time_factor == pytest.approx(0.25)
    begins = [point.at.timestamp() for point in stats.points]
    assert begins == list(range(999_990, 1_001_000, 30)), "each a multiple of half a minute"
    assert [point.arrivals for point in stats.points] == [2, *[3] * 32, 2]


def test_nothing_done_has_no_real_time_factor():
    stats = pool_stats([], step_seconds=10)
    assert (stats.arrivals, stats.real_time_factor, stats.points) == (0, None, [])
    assert stats.open == 0


def test_percentiles_lie_in_the_bucket_that_holds_their_task():
    # 90 tasks within 2^(12/2) = 64 ms, 10 within 2^(20/2) = 1024 ms
    told = percentiles({12: 90, 20: 10})
    assert told is not None
    assert 0.045 <= told.p50 <= 0.064
    assert 0.724 <= told.p95 <= told.p99 <= 1.024


def test_points_have_percentiles_of_their_own_and_the_window_those_of_all():
    quick = StatsBucket(at=1_000_000, total_histogram={4: 99}, wait_histogram={0: 99})
    slow = StatsBucket(at=1_000_500, total_histogram={30: 1})
    stats = pool_stats([quick, slow], step_seconds=10)
    assert stats.total is not None
    assert stats.total.p50 < 0.005
    first, last = stats.points
    assert last.wait is None
    assert first.total is not None
    assert last.total is not None
    assert first.total.p99 < 0.005 < 10 < last.total.p50
