"""`GET /api/v1/health`: the whole platform, seen from this pod."""

from __future__ import annotations

import asyncio
from typing import Literal

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field

from asr_api.checks import CheckResult
from asr_api.documented import documented_errors
from asr_api.services import Services, ServicesOf

router = APIRouter(tags=["operations"])


class DependencyHealth(BaseModel):
    """One thing the platform leans on."""

    status: Literal["ok", "unavailable"]
    message: str = ""
    seconds: float = Field(description="how long the check took")

    @classmethod
    def of(cls, result: CheckResult[None]) -> DependencyHealth:
        return cls(
            status="ok" if result.ok else "unavailable",
            message=result.message,
            seconds=round(result.seconds, 4),
        )


class WorkersHealth(BaseModel):
    """`none` is not an error: the operator starts workers when there is work."""

    status: Literal["ok", "none", "unknown"]
    alive: int | None = Field(description="null when Redis cannot say")


class HealthBody(BaseModel):
    """`degraded`: submissions are taken, but nobody works on them right now."""

    status: Literal["ok", "degraded", "unavailable"]
    redis: DependencyHealth
    store: DependencyHealth
    workers: WorkersHealth


@router.get(
    "/api/v1/health",
    response_model=HealthBody,
    operation_id="health",
    summary="Redis, store and workers",
    responses={
        503: {"model": HealthBody, "description": "Redis or the store cannot serve"},
        **documented_errors(),
    },
)
async def health(services: ServicesOf, response: Response) -> HealthBody:
    """Quick also when a dependency hangs: each is given two seconds."""
    timeout_seconds = services.settings.health_timeout_seconds
    redis, store = await asyncio.gather(
        services.redis_check.result(timeout_seconds), services.store_check.result(timeout_seconds)
    )
    workers = await _workers(services, redis, timeout_seconds)
    status: Literal["ok", "degraded", "unavailable"] = "ok" if workers.alive else "degraded"
    if not (redis.ok and store.ok):
        status = "unavailable"
        response.status_code = 503
        response.headers["Retry-After"] = "5"
    response.headers["Cache-Control"] = "no-store"
    return HealthBody(
        status=status,
        redis=DependencyHealth.of(redis),
        store=DependencyHealth.of(store),
        workers=workers,
    )


async def _workers(
    services: Services, redis: CheckResult[None], timeout_seconds: float
) -> WorkersHealth:
    if not redis.ok:
        return WorkersHealth(status="unknown", alive=None)
    counted = await services.workers_check.result(timeout_seconds)
    if not counted.ok or counted.value is None:
        return WorkersHealth(status="unknown", alive=None)
    return WorkersHealth(status="ok" if counted.value else "none", alive=counted.value)
