"""The registry of an API process."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector

from asr_api.monitoring.metrics import ApiMetrics
from asr_api.monitoring.queue_collector import QueueCollector


def build_metrics() -> tuple[ApiMetrics, QueueCollector]:
    """Metrics and the queue's gauges on a registry of their own, beside those of the process."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    queue = QueueCollector()
    registry.register(queue)
    return ApiMetrics(registry), queue
