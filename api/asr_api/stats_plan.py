"""Ten-second buckets folded into coarser points and one sum. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from asr_api.bodies import utc
from asr_api.queue_bodies import PoolStatsBody, StatsPoint
from asr_core.queue import StatsBucket

POINTS_MAX = 120
_FIELDS = (
    "arrivals", "arrival_seconds", "completed", "failed", "cancelled", "retried", "audio_seconds",
    "processing_seconds", "wait_seconds",
)  # fmt: skip


def step_seconds(minutes: int) -> int:
    """Width of a point, a multiple of ten seconds, such that at most 120 cover the window."""
    return max(10, -(-minutes * 60 // POINTS_MAX // 10) * 10)


def pool_stats(buckets: Sequence[StatsBucket], *, minutes: int) -> PoolStatsBody:
    """Sums and points of one pool's buckets, oldest first."""
    step = step_seconds(minutes)
    groups: dict[int, list[StatsBucket]] = {}
    for bucket in buckets:
        groups.setdefault(bucket.at // step * step, []).append(bucket)
    points = [StatsPoint(at=utc(at), **_sums(group)) for at, group in sorted(groups.items())]
    sums = _sums(buckets)
    audio_seconds = sums["audio_seconds"]
    factor = sums["processing_seconds"] / audio_seconds if audio_seconds else None
    return PoolStatsBody(**sums, real_time_factor=factor, points=points)


def _sums(buckets: Sequence[StatsBucket]) -> dict[str, Any]:
    return {name: sum(getattr(bucket, name) for bucket in buckets) for name in _FIELDS}
