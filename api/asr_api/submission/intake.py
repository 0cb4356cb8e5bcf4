"""What accepting a recording needs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from asr_api.monitoring.metrics import ApiMetrics
from asr_api.probe.pool import ProbePool
from asr_api.settings.api import ApiSettings
from asr_api.uploads.spool import Spool
from asr_core.queue import Producer, RedisConnection, WaiterRegistry
from asr_core.store import Store


@dataclass(frozen=True)
class Intake:
    """`ensure_prepared` and `takes_work` raise DependencyError if Redis cannot take a task."""

    settings: ApiSettings
    metrics: ApiMetrics
    ensure_prepared: Callable[[], Awaitable[None]]
    takes_work: Callable[[], Awaitable[None]]
    connection: RedisConnection
    producer: Producer
    waiters: WaiterRegistry
    spool: Spool
    probes: ProbePool
    store: Store
