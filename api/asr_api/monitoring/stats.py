"""Aggregates statistics buckets into points and totals. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from asr_api.schemas.queue import Percentiles, PoolStatsBody, StatsPoint
from asr_api.schemas.tasks import utc
from asr_core.queue import StatsBucket

POINTS_MAX = 120
_SUMS = (
    "arrivals", "arrival_seconds", "completed", "failed", "cancelled", "retried", "crashed",
    "audio_seconds", "speech_seconds", "processing_seconds", "wait_seconds",
)  # fmt: skip


def step_seconds(minutes: int, *, at_least: int = 10) -> int:
    """Width of a point, a multiple of the buckets' own (`at_least`), such that at most 120 cover
    the window.
    """
    return max(1, -(-minutes * 60 // POINTS_MAX // at_least)) * at_least


def pool_stats(
    buckets: Sequence[StatsBucket], *, step_seconds: int, open_tasks: int = 0
) -> PoolStatsBody:
    """Sums and points of one pool's buckets, oldest first."""
    groups: dict[int, list[StatsBucket]] = {}
    for bucket in buckets:
        groups.setdefault(bucket.at // step_seconds * step_seconds, []).append(bucket)
    points = [StatsPoint(at=utc(at), **_figures(group)) for at, group in sorted(groups.items())]
    return PoolStatsBody(**_figures(buckets), open=open_tasks, points=points)


def percentiles(histogram: Mapping[int, int]) -> Percentiles | None:
    """From counts in half-power-of-two buckets: bucket i holds durations up to 2^(i/2) ms."""
    if not histogram:
        return None
    return Percentiles(
        p50=_quantile(histogram, 0.50),
        p95=_quantile(histogram, 0.95),
        p99=_quantile(histogram, 0.99),
    )


def _quantile(histogram: Mapping[int, int], share: float) -> float:
    """In seconds, linear within the bucket that the `share` of all counts falls into."""
    rank = share * sum(histogram.values())
    below = 0
    for index, count in sorted(histogram.items()):
        if below + count >= rank:
            low, high = (2 ** ((index - 1) / 2) if index else 0.0), 2 ** (index / 2)
            return float(round((low + (high - low) * (rank - below) / count) / 1000, 4))
        below += count
    raise ValueError("a histogram without counts has no quantiles")


def _figures(buckets: Sequence[StatsBucket]) -> dict[str, Any]:
    figures: dict[str, Any] = {
        name: sum(getattr(bucket, name) for bucket in buckets) for name in _SUMS
    }
    waits: Counter[int] = Counter()
    totals: Counter[int] = Counter()
    for bucket in buckets:
        waits.update(bucket.wait_histogram)
        totals.update(bucket.total_histogram)
    audio_seconds = figures["audio_seconds"]
    factor = figures["processing_seconds"] / audio_seconds if audio_seconds else None
    return {
        **figures,
        "wait": percentiles(waits),
        "total": percentiles(totals),
        "real_time_factor": factor,
    }
