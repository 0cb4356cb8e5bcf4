"""Metrics: what API and worker count, in base units, on a registry that the caller owns.

Each has a class of its own: a program that showed the zeros of another would count as one.
Task ids and file names are never labels, tenants of one metric only. Nothing is registered at
import.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from asr_core.queue.backlog import Backlog

HTTP_BUCKETS_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900)
STAGE_BUCKETS_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900)
# A queue is quick for who watches and hours long after a night's batch; both must be readable.
WAIT_BUCKETS_SECONDS = (
    *(0.1, 0.25, 0.5, 1, 2, 5, 10, 20, 30, 45, 60, 90, 120, 300, 600),
    *(1800, 3600, 7200, 14400, 28800, 86400),
)
TASK_BUCKETS_SECONDS = (0.1, 0.25, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600, 14400)
MOST_LABELLED_TENANTS = 100
OTHER_TENANTS = "_other"  # no tenant can have this name
RATIO_BUCKETS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1.0)


class ApiMetrics:
    """What an API process counts, or sees of Redis and the store."""

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


class WorkerMetrics:
    """What a worker counts."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        self._define_tasks(registry)
        self._define_engine(registry)

    def _define_tasks(self, registry: CollectorRegistry) -> None:
        self.tasks_finished = Counter(
            "asr_tasks_finished",
            "Tasks that reached a terminal state",
            ["state"],
            registry=registry,
        )
        self.task_wait_seconds = Histogram(
            "asr_task_wait_seconds",
            "Time from queued to claimed",
            buckets=WAIT_BUCKETS_SECONDS,
            registry=registry,
        )
        self.task_duration_seconds = Histogram(
            "asr_task_duration_seconds",
            "Time from claimed to finished",
            buckets=TASK_BUCKETS_SECONDS,
            registry=registry,
        )
        self.audio_seconds = Counter(
            "asr_audio_seconds", "Seconds of audio transcribed", registry=registry
        )
        self.tenant_audio_seconds = Counter(
            "asr_tenant_audio_seconds",
            "Seconds of audio transcribed for a tenant; the first hundred that a worker serves "
            "have a label of their own, the others are `_other`",
            ["tenant"],
            registry=registry,
        )
        self._labelled_tenants: set[str] = set()

    def count_tenant_audio(self, tenant: str, seconds: float) -> None:
        """A completed recording of a tenant's, under a bounded number of labels."""
        if len(self._labelled_tenants) < MOST_LABELLED_TENANTS:
            self._labelled_tenants.add(tenant)
        label = tenant if tenant in self._labelled_tenants else OTHER_TENANTS
        self.tenant_audio_seconds.labels(label).inc(seconds)

    def _define_engine(self, registry: CollectorRegistry) -> None:
        self.stage_duration_seconds = Histogram(
            "asr_stage_duration_seconds",
            "Time one stage of the worker took: download, decode, segment, batch_wait, engine, "
            "assemble, finish",
            ["stage"],
            buckets=STAGE_BUCKETS_SECONDS,
            registry=registry,
        )
        self.batch_fill_ratio = Histogram(
            "asr_batch_fill_ratio",
            "Audio in a batch over its padded size; 1 is a batch without padding",
            buckets=RATIO_BUCKETS,
            registry=registry,
        )
        self.worker_busy = Gauge(
            "asr_worker_busy", "1 while the engine has a batch, else 0", registry=registry
        )
        self.worker_blocked = Gauge(
            "asr_worker_blocked",
            "1 while this worker takes no work: its `disk` is full or cannot be written, or the "
            "`store`",
            ["reason"],
            registry=registry,
        )
        self.leases_lost = Counter(
            "asr_leases_lost", "Leases this worker lost while it held the task", registry=registry
        )
        self.fenced_results = Counter(
            "asr_fenced_results",
            "Results refused because the task had been claimed again",
            registry=registry,
        )


@dataclass(frozen=True, slots=True)
class _Seen:
    backlog: Backlog
    at_seconds: float


class QueueCollector(Collector):
    """Shows the last backlog of each pool; one that was not refreshed is absent, never zero.

    `asr_queue_up` says whether the other gauges of a pool are there. `clock` is in seconds.
    """

    _LANE_GAUGES = (
        ("waiting", "Tasks that wait for a worker, orphans and held ones among them"),
        ("in_flight", "Tasks that a live worker holds"),
        ("orphans", "Tasks of dead workers, to be claimed again"),
        ("held", "Tasks held back so that tenants share the lane"),
        ("audio_seconds", "Audio-seconds of everything open in this lane"),
    )
    _POOL_GAUGES = (
        ("oldest_wait_seconds", "How long the oldest task has waited"),
        ("delayed", "Tasks backing off before their next attempt"),
        ("delayed_due", "Tasks among these whose time has come"),
        ("dead", "Tasks among the dead letters"),
    )

    def __init__(
        self, *, stale_after_seconds: float = 60.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._stale_after_seconds = stale_after_seconds
        self._clock = clock
        self._seen: dict[str, _Seen | None] = {}

    def show(self, backlog: Backlog) -> None:
        """Keep a backlog that was just read."""
        self._seen[backlog.pool] = _Seen(backlog, self._clock())

    def signal_lost(self, pool: str) -> None:
        """Withdraw a pool's gauges: its backlog could not be read."""
        self._seen[pool] = None

    def describe(self) -> Iterator[GaugeMetricFamily]:
        """Name the gauges before there is a backlog, so that the registry finds duplicates."""
        yield from self._families()

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield the gauges of every pool whose backlog is fresh."""
        up, *families = self._families()
        lane_gauges = families[: len(self._LANE_GAUGES)]
        pool_gauges = families[len(self._LANE_GAUGES) :]
        for pool, seen in list(self._seen.items()):
            fresh = (
                seen is not None and self._clock() - seen.at_seconds <= self._stale_after_seconds
            )
            up.add_metric([pool], float(fresh))
            if seen is None or not fresh:
                continue
            for gauge, (attribute, _) in zip(pool_gauges, self._POOL_GAUGES, strict=True):
                gauge.add_metric([pool], getattr(seen.backlog, attribute))
            for lane, counts in seen.backlog.lanes.items():
                for gauge, (attribute, _) in zip(lane_gauges, self._LANE_GAUGES, strict=True):
                    gauge.add_metric([pool, str(lane)], getattr(counts, attribute))
        yield from (up, *lane_gauges, *pool_gauges)

    def _families(self) -> list[GaugeMetricFamily]:
        up = GaugeMetricFamily("asr_queue_up", "1 if the backlog can be read", labels=["pool"])
        lanes = [
            GaugeMetricFamily(f"asr_queue_{name}", text, labels=["pool", "lane"])
            for name, text in self._LANE_GAUGES
        ]
        pools = [
            GaugeMetricFamily(f"asr_queue_{name}", text, labels=["pool"])
            for name, text in self._POOL_GAUGES
        ]
        return [up, *lanes, *pools]
