"""The courier as a program: `asr courier`. SIGTERM ends it in order."""

from __future__ import annotations

import asyncio
import signal
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, GCCollector, ProcessCollector, make_wsgi_app

from asr_api.courier.deliveries import Deliveries
from asr_api.courier.fetches import Fetches
from asr_api.courier.job_runner import JobRunner
from asr_api.courier.metrics import CourierMetrics
from asr_api.egress.http_client import Egress
from asr_api.egress.ssrf_policy import SsrfPolicy
from asr_api.http.file_limits import raise_file_limit
from asr_api.probe.limits import probe_limits
from asr_api.probe.pool import ProbePool
from asr_api.settings.courier import CourierSettings
from asr_api.uploads.spool import Spool
from asr_core.errors import DependencyError, PermissionMissing, SchemaMismatch
from asr_core.process.listening import WsgiServer
from asr_core.process.logs import configure_logging, get_logger
from asr_core.process.setting_names import warn_of_unknown_settings
from asr_core.queue import Fetch, Fetching, Outbox, RedisConnection, Webhook
from asr_core.store import Store

GAUGES_SECONDS = 5.0
JOIN_SECONDS = 2.0
LEASE_TIMEOUTS = 3  # a webhook's lease, in units of one attempt's timeout
_REDIS_RETRIES = 2
_log = get_logger("asr_api.courier")


@dataclass(frozen=True)
class _Components:
    """Long-lived objects of the courier."""

    settings: CourierSettings
    connection: RedisConnection
    outbox: Outbox
    fetching: Fetching
    metrics: CourierMetrics
    runners: tuple[JobRunner[Webhook], JobRunner[Fetch]]


def main() -> None:
    """Run until SIGTERM or SIGINT. Raises SchemaMismatch, PermissionMissing."""
    settings = CourierSettings()
    configure_logging(settings, "courier")
    warn_of_unknown_settings()
    raise_file_limit()
    asyncio.run(_until_signalled(settings))


async def _until_signalled(settings: CourierSettings) -> None:
    working = asyncio.create_task(run_courier(settings))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, working.cancel)
    with suppress(asyncio.CancelledError):
        await working


async def run_courier(settings: CourierSettings) -> None:
    """Deliver and fetch until cancelled, then finish jobs in flight within the grace period."""
    async with AsyncExitStack() as stack:
        components = await _build(settings, stack)
        await _join(components.connection)
        _log.info("courier_ready", webhooks=bool(settings.webhook_secret))
        loops = [
            asyncio.create_task(runner.take_until_cancelled()) for runner in components.runners
        ]
        loops.append(asyncio.create_task(_show_gauges(components)))
        try:
            await asyncio.gather(*loops)
        finally:
            _log.info("courier_stops")
            for loop in loops:
                loop.cancel()
            await asyncio.gather(*loops, return_exceptions=True)
            await asyncio.gather(
                *(runner.finish(settings.grace_seconds) for runner in components.runners)
            )


async def _build(settings: CourierSettings, stack: AsyncExitStack) -> _Components:
    metrics = CourierMetrics(CollectorRegistry())
    ProcessCollector(registry=metrics.registry)
    GCCollector(registry=metrics.registry)
    if settings.metrics_port:
        answer = make_wsgi_app(metrics.registry)
        server = WsgiServer(settings.metrics_address, settings.metrics_port, answer, name="metrics")
        stack.callback(server.close)
    connection = RedisConnection(settings, retries=_REDIS_RETRIES)
    stack.push_async_callback(connection.close)
    spool = Spool(settings.spool_dir, settings.spool_max_bytes)
    spool.open()
    stack.callback(spool.close)
    probes = ProbePool(settings.probe_processes, probe_limits(settings))
    stack.push_async_callback(probes.close)
    egress = Egress(SsrfPolicy(settings.allow_private_urls))
    stack.push_async_callback(egress.close)
    lease_seconds = LEASE_TIMEOUTS * settings.webhook_timeout_seconds
    outbox = Outbox(connection, lease_seconds=lease_seconds)
    fetching = Fetching(connection, settings)
    store = Store.open(settings.store_url)
    deliveries = Deliveries(outbox, egress, metrics, settings)
    fetches = Fetches(fetching, egress, spool, probes, store, metrics, settings)
    runners = (
        JobRunner(deliveries, at_once=settings.webhooks_at_once),
        JobRunner(fetches, at_once=settings.fetches_at_once),
    )
    return _Components(settings, connection, outbox, fetching, metrics, runners)


async def _join(connection: RedisConnection) -> None:
    """Wait for Redis without a limit. Raises SchemaMismatch, PermissionMissing."""
    logged = False
    while True:
        try:
            return await connection.ready()
        except (SchemaMismatch, PermissionMissing):
            raise
        except DependencyError as error:
            if not logged:
                _log.warning("courier_waits", what="redis", reason=error.message)
            logged = True
            await asyncio.sleep(JOIN_SECONDS)


async def _show_gauges(components: _Components) -> None:
    while True:
        try:
            components.metrics.show(
                await components.outbox.depth(), await components.fetching.depth()
            )
        except DependencyError:
            components.metrics.signal_lost()
        await asyncio.sleep(GAUGES_SECONDS)
