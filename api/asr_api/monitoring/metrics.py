"""Metrics of an API process, in base units, on the caller's registry."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

HTTP_BUCKETS_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900)


class ApiMetrics:
    """Requests, submissions, data losses and the state of Redis."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        self._define_requests(registry)
        self._define_losses(registry)
        self._define_redis(registry)

    def _define_requests(self, registry: CollectorRegistry) -> None:
        self.http_requests = Counter(
            "asr_http_requests",
            "HTTP requests answered; `route` is the template, never the path",
            ["method", "route", "status"],
            registry=registry,
        )
        self.http_request_duration_seconds = Histogram(
            "asr_http_request_duration_seconds",
            "Time from the request's first byte to the end of the reply",
            ["method", "route"],
            buckets=HTTP_BUCKETS_SECONDS,
            registry=registry,
        )
        self.upload_bytes = Counter(
            "asr_upload_bytes", "Bytes of audio received", registry=registry
        )
        self.tasks_submitted = Counter(
            "asr_tasks_submitted", "Tasks accepted into the queue", ["lane"], registry=registry
        )

    def _define_losses(self, registry: CollectorRegistry) -> None:
        self.queue_losses = Counter(
            "asr_queue_losses",
            "Times this process found that Redis had lost data: it is `apart` from the store, or "
            "there are too many `strays`",
            ["reason"],
            registry=registry,
        )
        self.queue_data_lost = Gauge(
            "asr_queue_data_lost",
            "1 from when a loss was found until the store is adopted; NaN: not known",
            registry=registry,
        )
        self.blobs_without_task = Gauge(
            "asr_blobs_without_task",
            "Blobs in the store whose task Redis does not know, as last counted",
            ["kind"],
            registry=registry,
        )
        self.queue_mended = Counter(
            "asr_queue_mended",
            "What this process found out of place and mended: tasks `readded`, counters "
            "`corrected`, history entries `forgotten`, destroyed `groups` made again",
            ["what"],
            registry=registry,
        )

    def _define_redis(self, registry: CollectorRegistry) -> None:
        self.redis_may_evict = Gauge(
            "asr_redis_may_evict",
            "1 if a full Redis throws keys away: those that expire (`expiring`), or any (`all`), "
            "and then no new work is taken; NaN: not known",
            ["keys"],
            registry=registry,
        )
        self.redis_evicted_keys = Gauge(
            "asr_redis_evicted_keys",
            "Keys that Redis has thrown away since it started; NaN: not known",
            registry=registry,
        )
