"""`GET /api/v1/stats`."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from asr_api.dependencies import BacklogOf, SettingsOf, TenantsOf
from asr_api.http.error_examples import documented_errors
from asr_api.monitoring.stats import pool_stats, step_seconds
from asr_api.routes.tenant_view import ViewOf
from asr_api.schemas.queue import StatsBody, TotalsBody
from asr_core.errors import InvalidOption, QueueUnavailable
from asr_core.queue import bucket_seconds
from asr_core.text_limits import shortened

router = APIRouter(tags=["queue"])


@router.get(
    "/api/v1/stats",
    response_model=StatsBody,
    operation_id="stats",
    summary="Statistics: totals, and the last minutes per pool",
    responses=documented_errors(InvalidOption, QueueUnavailable),
)
async def stats(
    backlog: BacklogOf,
    tenants: TenantsOf,
    settings: SettingsOf,
    tenant: ViewOf,
    minutes: Annotated[int, Query(ge=1, le=1440, description="length of the window")] = 60,
    pool: Annotated[str | None, Query(description="only this pool; default: all")] = None,
) -> StatsBody:
    """The numbers live in Redis: they survive restarts of the API, and every pod says the same. A
    key is told those of its own tenant, minute by minute at the finest; the scope `admin` those of
    all, or of one.
    """
    known = settings.pools
    if pool is not None and pool not in known:
        raise InvalidOption(
            f"Unknown pool {shortened(pool)}; there are: {', '.join(known)}.", param="pool"
        )
    step = step_seconds(minutes, at_least=bucket_seconds(tenant))
    pools = {}
    for name in (pool,) if pool else known:
        buckets, open_tasks = await backlog.stats_and_open(name, minutes=minutes, tenant=tenant)
        pools[name] = pool_stats(buckets, step_seconds=step, open_tasks=open_tasks)
    return StatsBody(
        tenant=tenant,
        tenants=await tenants.names() if tenant is None else None,
        minutes=minutes,
        step_seconds=step,
        totals=TotalsBody.of(await backlog.totals(tenant)),
        pools=pools,
    )
