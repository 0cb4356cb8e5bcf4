"""`GET /api/v1/stats`."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from asr_api.documented import documented_errors
from asr_api.queue_bodies import StatsBody, TotalsBody
from asr_api.services import ServicesOf
from asr_api.stats_plan import pool_stats
from asr_core.errors import InvalidOption, QueueUnavailable

router = APIRouter(tags=["queue"])


@router.get(
    "/api/v1/stats",
    response_model=StatsBody,
    operation_id="stats",
    summary="What was done: since ever, and per pool in the last minutes",
    responses=documented_errors(InvalidOption, QueueUnavailable),
)
async def stats(
    services: ServicesOf,
    minutes: Annotated[int, Query(ge=1, le=1440, description="the window")] = 60,
) -> StatsBody:
    """The numbers live in Redis, so they survive restarts of this API."""
    pools = {
        pool: pool_stats(await services.backlog.stats(pool, minutes=minutes), minutes=minutes)
        for pool in services.settings.pools
    }
    return StatsBody(
        minutes=minutes, totals=TotalsBody.of(await services.backlog.totals()), pools=pools
    )
