"""FastAPI dependencies: each returns the one object that a route needs."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request

from asr_api.access import Principal
from asr_api.background.housekeeping import Housekeeping
from asr_api.background.waiter_leases import WaiterLeases
from asr_api.monitoring.health_checks import HealthChecks
from asr_api.monitoring.metrics import ApiMetrics
from asr_api.monitoring.queue_collector import QueueCollector
from asr_api.services import Services
from asr_api.settings.api import ApiSettings
from asr_api.submission.intake import Intake
from asr_api.tasks.results import TaskReader
from asr_api.uploads.spool import Spool
from asr_core.queue import BacklogReader, Producer, RedisConnection, Tenants
from asr_core.store import Store


def _services(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


async def authenticate(request: Request) -> None:
    """Runs before every route, and before its body is read. Raises as `Authenticator` does."""
    request.state.principal = await _services(request).access.authenticate(request)


async def principal_of(request: Request) -> Principal:
    """The authenticated caller."""
    principal: Principal = request.state.principal
    return principal


async def tenant_of(request: Request) -> str:
    """The caller's tenant; without API keys there is one."""
    return (await principal_of(request)).tenant


async def root_of(request: Request) -> str:
    """The path prefix of a proxy, '' for none: every link starts with it."""
    return str(request.scope.get("root_path", ""))


async def settings_of(request: Request) -> ApiSettings:
    return _services(request).settings


async def metrics_of(request: Request) -> ApiMetrics:
    return _services(request).metrics


async def queue_gauges_of(request: Request) -> QueueCollector:
    return _services(request).queue_gauges


async def connection_of(request: Request) -> RedisConnection:
    return _services(request).connection


async def producer_of(request: Request) -> Producer:
    return _services(request).producer


async def tenants_of(request: Request) -> Tenants:
    return _services(request).tenants


async def backlog_of(request: Request) -> BacklogReader:
    return _services(request).backlog


async def store_of(request: Request) -> Store:
    return _services(request).store


async def spool_of(request: Request) -> Spool:
    return _services(request).spool


async def housekeeping_of(request: Request) -> Housekeeping:
    return _services(request).housekeeping


async def waiter_leases_of(request: Request) -> WaiterLeases:
    return _services(request).waiter_leases


async def intake_of(request: Request) -> Intake:
    return _services(request).intake


async def reader_of(request: Request) -> TaskReader:
    return _services(request).reader


async def checks_of(request: Request) -> HealthChecks:
    return _services(request).checks


TenantOf = Annotated[str, Depends(tenant_of)]
RootOf = Annotated[str, Depends(root_of)]
PrincipalOf = Annotated[Principal, Depends(principal_of)]
SettingsOf = Annotated[ApiSettings, Depends(settings_of)]
MetricsOf = Annotated[ApiMetrics, Depends(metrics_of)]
QueueGaugesOf = Annotated[QueueCollector, Depends(queue_gauges_of)]
ConnectionOf = Annotated[RedisConnection, Depends(connection_of)]
ProducerOf = Annotated[Producer, Depends(producer_of)]
TenantsOf = Annotated[Tenants, Depends(tenants_of)]
BacklogOf = Annotated[BacklogReader, Depends(backlog_of)]
StoreOf = Annotated[Store, Depends(store_of)]
SpoolOf = Annotated[Spool, Depends(spool_of)]
HousekeepingOf = Annotated[Housekeeping, Depends(housekeeping_of)]
WaiterLeasesOf = Annotated[WaiterLeases, Depends(waiter_leases_of)]
IntakeOf = Annotated[Intake, Depends(intake_of)]
ReaderOf = Annotated[TaskReader, Depends(reader_of)]
HealthChecksOf = Annotated[HealthChecks, Depends(checks_of)]
