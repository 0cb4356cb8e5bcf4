"""Metrics as Prometheus reads them, with the queue's gauges as of now."""

from __future__ import annotations

import asyncio

from prometheus_client import (
    generate_latest,
)

from asr_api.monitoring.health_checks import CheckResult, HealthChecks
from asr_api.monitoring.metrics import ApiMetrics
from asr_api.monitoring.queue_collector import QueueCollector
from asr_core.queue import Eviction, OrphanedBlobs


async def exposition(
    metrics: ApiMetrics, queue_gauges: QueueCollector, checks: HealthChecks
) -> bytes:
    """The text format. A pool whose backlog cannot be read in time shows `asr_queue_up 0` and no
    gauges.
    """
    timeout_seconds = checks.timeout_seconds
    pools = checks.backlog
    orphans, eviction, results = await asyncio.gather(
        checks.orphans.result(timeout_seconds),
        checks.eviction.result(timeout_seconds),
        asyncio.gather(*(check.result(timeout_seconds) for check in pools.values())),
    )
    _show_orphaned_blobs(metrics, orphans)
    _show_eviction(metrics, eviction.value)
    for pool, result in zip(pools, results, strict=True):
        if result.value is None:
            queue_gauges.signal_lost(pool)
        else:
            queue_gauges.show(result.value)
    return generate_latest(metrics.registry)


def _show_orphaned_blobs(metrics: ApiMetrics, checked: CheckResult[OrphanedBlobs]) -> None:
    """The last count of any pod; what is not known is left out, or NaN."""
    metrics.blobs_without_task.clear()
    if checked.value is None:
        metrics.queue_data_lost.set(float("nan"))
        return
    metrics.queue_data_lost.set(checked.value.loss is not None)
    counts = {"recording": checked.value.recordings, "result": checked.value.results}
    for kind, count in counts.items():
        if count is not None:
            metrics.blobs_without_task.labels(kind=kind).set(count)


def _show_eviction(metrics: ApiMetrics, state: Eviction | None) -> None:
    for keys in ("expiring", "all"):
        value = float("nan") if state is None else float(state.evicts == keys)
        metrics.redis_may_evict.labels(keys=keys).set(value)
    metrics.redis_evicted_keys.set(float("nan") if state is None else state.evicted_keys)
