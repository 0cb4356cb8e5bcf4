"""Metrics as Prometheus reads them, with the queue's gauges as of now."""

from __future__ import annotations

import asyncio

from prometheus_client import (
    generate_latest,
)

from asr_api.monitoring.health_checks import CheckResult
from asr_api.monitoring.metrics import ApiMetrics
from asr_api.services import Services
from asr_core.queue import Eviction, OrphanedBlobs


async def exposition(services: Services) -> bytes:
    """The text format. A pool whose backlog cannot be read in time shows `asr_queue_up 0` and no
    gauges.
    """
    timeout_seconds = services.settings.health_timeout_seconds
    pools = services.backlog_checks
    orphans, eviction, results = await asyncio.gather(
        services.orphans_check.result(timeout_seconds),
        services.eviction_check.result(timeout_seconds),
        asyncio.gather(*(check.result(timeout_seconds) for check in pools.values())),
    )
    _show_orphaned_blobs(services.metrics, orphans)
    _show_eviction(services.metrics, eviction.value)
    for pool, result in zip(pools, results, strict=True):
        if result.value is None:
            services.queue_gauges.signal_lost(pool)
        else:
            services.queue_gauges.show(result.value)
    return generate_latest(services.metrics.registry)


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
