"""Composition root of the API: builds every long-lived object once per app. Only the app and
`dependencies` import it; routes get single objects.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from asr_api.access import Authenticator
from asr_api.background.housekeeping import Housekeeping
from asr_api.background.waiter_leases import WaiterLeases
from asr_api.errors import ProbeUnavailable
from asr_api.monitoring.health_checks import Check, HealthChecks
from asr_api.monitoring.metrics import ApiMetrics
from asr_api.monitoring.queue_collector import QueueCollector
from asr_api.monitoring.registry import build_metrics
from asr_api.probe.limits import probe_limits
from asr_api.probe.pool import ProbePool
from asr_api.settings.api import ApiSettings
from asr_api.submission.intake import Intake
from asr_api.tasks.results import TaskReader
from asr_api.uploads.spool import Spool
from asr_core.lifecycle.orphan_sweep import Sweep
from asr_core.queue import (
    ApiKeyStore,
    BacklogReader,
    EvictionWatch,
    OrphanIndex,
    Producer,
    QueueReconciler,
    RedisConnection,
    TaskWatcher,
    Tenants,
    WaiterRegistry,
)
from asr_core.queue.tenants import default_limits
from asr_core.store import Store

QUEUE_RETRIES = 2


@dataclass(frozen=True)
class Services:
    """Every long-lived object of the app. Building them does no I/O; the app's lifespan starts and
    stops them.
    """

    settings: ApiSettings
    metrics: ApiMetrics
    queue_gauges: QueueCollector
    connection: RedisConnection
    producer: Producer
    tenants: Tenants
    access: Authenticator
    backlog: BacklogReader
    watcher: TaskWatcher
    waiter_leases: WaiterLeases
    store: Store
    spool: Spool
    probes: ProbePool
    housekeeping: Housekeeping
    intake: Intake
    reader: TaskReader
    checks: HealthChecks

    async def start(self) -> None:
        """Open the spool and begin housekeeping. Redis and the store may be away."""
        self.spool.open()
        self.housekeeping.start()
        with suppress(ProbeUnavailable):
            await self.probes.warm_up()

    async def stop(self) -> None:
        """End what was started, in reverse."""
        await self.housekeeping.stop()
        await self.waiter_leases.stop()
        await self.checks.stop()
        await self.probes.close()
        await self.connection.close()
        self.spool.close()


def build_services(settings: ApiSettings) -> Services:
    """Build and connect everything. Raises ValueError for invalid settings."""
    metrics, queue_gauges = build_metrics()
    connection = RedisConnection(settings, retries=QUEUE_RETRIES)
    producer = Producer(connection, settings, default_limits(settings))
    tenants = Tenants(connection, settings)
    watcher = TaskWatcher(connection)
    waiters = WaiterRegistry(connection, grace_seconds=settings.deserted_seconds)
    waiter_leases = WaiterLeases(waiters)
    store = Store.open(settings.store_url)
    backlog = BacklogReader(connection, settings)
    orphan_index = OrphanIndex(connection)
    eviction = EvictionWatch(connection)

    async def takes_work() -> None:
        """Raises `QueueUnavailable`, or `RedisEvicts`, where Redis would not keep a submission."""
        await connection.takes_work()
        await eviction.require_safe()

    async def takes_work_now() -> None:
        await connection.takes_work()
        await eviction.require_safe(refresh=True)

    spool = Spool(settings.spool_dir, settings.spool_max_bytes)
    probes = ProbePool(settings.probe_processes, probe_limits(settings))
    housekeeping = Housekeeping(
        producer,
        watcher,
        QueueReconciler(connection, settings),
        orphan_index,
        Sweep(orphan_index, store),
        waiter_leases,
        eviction,
        metrics,
    )
    return Services(
        settings=settings,
        metrics=metrics,
        queue_gauges=queue_gauges,
        connection=connection,
        producer=producer,
        tenants=tenants,
        access=Authenticator(settings, ApiKeyStore(connection), tenants),
        backlog=backlog,
        watcher=watcher,
        waiter_leases=waiter_leases,
        store=store,
        spool=spool,
        probes=probes,
        housekeeping=housekeeping,
        intake=Intake(
            settings=settings,
            metrics=metrics,
            ensure_prepared=housekeeping.ensure_prepared,
            takes_work=takes_work,
            connection=connection,
            producer=producer,
            waiters=waiters,
            spool=spool,
            probes=probes,
            store=store,
        ),
        reader=TaskReader(producer, watcher, store),
        checks=HealthChecks(
            timeout_seconds=settings.health_timeout_seconds,
            redis=Check(takes_work_now),
            store=Check(store.ready),
            workers=Check(backlog.workers),
            orphans=Check(orphan_index.orphaned_blobs),
            eviction=Check(eviction.observe),
            backlog={pool: Check(partial(backlog.read, pool)) for pool in settings.pools},
        ),
    )
