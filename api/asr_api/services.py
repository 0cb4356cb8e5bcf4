"""What the routes work with, built once per app and passed to them through FastAPI."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any

from fastapi import Depends, Request

from asr_api.access import Authenticator, Principal
from asr_api.background.housekeeping import Housekeeping
from asr_api.background.waiter_leases import WaiterLeases
from asr_api.monitoring.health_checks import Check
from asr_api.monitoring.metrics import ApiMetrics
from asr_api.monitoring.queue_collector import QueueCollector
from asr_api.probe.limits import probe_limits
from asr_api.probe.pool import ProbePool, ProbeUnavailable
from asr_api.settings.api import ApiSettings
from asr_api.uploads.spool import Spool
from asr_core.lifecycle.orphan_sweep import Sweep
from asr_core.queue import (
    ApiKeyStore,
    Backlog,
    BacklogReader,
    Eviction,
    EvictionWatch,
    OrphanedBlobs,
    OrphanIndex,
    Producer,
    QueueReconciler,
    RedisConnection,
    TaskWatcher,
    Tenants,
    WaiterRegistry,
    WorkerRecord,
)
from asr_core.store import Store

QUEUE_RETRIES = 2


@dataclass(frozen=True)
class Services:
    """Everything with a life of its own. Building it touches nothing; the app's lifespan starts and
    ends it.
    """

    settings: ApiSettings
    metrics: ApiMetrics
    queue_gauges: QueueCollector
    connection: RedisConnection
    takes_work: Callable[[], Coroutine[Any, Any, None]]
    producer: Producer
    tenants: Tenants
    access: Authenticator
    backlog: BacklogReader
    watcher: TaskWatcher
    callers: WaiterRegistry
    waiter_leases: WaiterLeases
    store: Store
    spool: Spool
    probes: ProbePool
    housekeeping: Housekeeping
    redis_check: Check[None]
    store_check: Check[None]
    workers_check: Check[list[WorkerRecord]]
    orphans_check: Check[OrphanedBlobs]
    eviction_check: Check[Eviction]
    backlog_checks: dict[str, Check[Backlog]]

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
        checks: list[Check[Any]] = [
            self.redis_check, self.store_check, self.workers_check, self.orphans_check,
            self.eviction_check,
        ]  # fmt: skip
        checks += self.backlog_checks.values()
        await asyncio.gather(*(check.stop() for check in checks), return_exceptions=True)
        await self.probes.close()
        await self.connection.close()
        self.spool.close()


def build_services(
    settings: ApiSettings, metrics: ApiMetrics, queue_gauges: QueueCollector
) -> Services:
    """Wire the parts. Raises ValueError for settings that cannot be served."""
    connection = RedisConnection(settings, retries=QUEUE_RETRIES)
    producer = Producer(connection, settings, settings)
    tenants = Tenants(connection, settings)
    watcher = TaskWatcher(connection)
    callers = WaiterRegistry(connection, grace_seconds=settings.deserted_seconds)
    waiter_leases = WaiterLeases(callers)
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

    return Services(
        settings=settings,
        metrics=metrics,
        queue_gauges=queue_gauges,
        connection=connection,
        takes_work=takes_work,
        producer=producer,
        tenants=tenants,
        access=Authenticator(settings, ApiKeyStore(connection), tenants),
        backlog=backlog,
        watcher=watcher,
        callers=callers,
        waiter_leases=waiter_leases,
        store=store,
        spool=Spool(settings.spool_dir, settings.spool_max_bytes),
        probes=ProbePool(settings.probe_processes, probe_limits(settings)),
        housekeeping=Housekeeping(
            producer,
            watcher,
            QueueReconciler(connection, settings),
            orphan_index,
            Sweep(orphan_index, store),
            waiter_leases,
            eviction,
            metrics,
        ),
        redis_check=Check(takes_work_now),
        store_check=Check(store.ready),
        workers_check=Check(backlog.workers),
        orphans_check=Check(orphan_index.orphaned_blobs),
        eviction_check=Check(eviction.observe),
        backlog_checks={pool: Check(partial(backlog.read, pool)) for pool in settings.pools},
    )


def services_of(request: Request) -> Services:
    """The app's services, for routes and dependencies."""
    services: Services = request.app.state.services
    return services


async def authorize(request: Request) -> None:
    """Runs before every route, and before its body is read. Raises as `Authenticator` does."""
    request.state.principal = await services_of(request).access.authenticate(request)


async def principal_of(request: Request) -> Principal:
    """Who asks, as `authorize` found."""
    principal: Principal = request.state.principal
    return principal


async def tenant_of(request: Request) -> str:
    """Whose request this is; without API keys there is one tenant."""
    return (await principal_of(request)).tenant


async def root_of(request: Request) -> str:
    """The path under which a proxy shows this API, '' for none: every link begins with it."""
    return str(request.scope.get("root_path", ""))


ServicesOf = Annotated[Services, Depends(services_of)]
TenantOf = Annotated[str, Depends(tenant_of)]
RootOf = Annotated[str, Depends(root_of)]
PrincipalOf = Annotated[Principal, Depends(principal_of)]
