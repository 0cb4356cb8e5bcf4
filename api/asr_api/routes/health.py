"""`GET /api/v1/health`: the whole platform, seen from this pod."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field

from asr_api.dependencies import HealthChecksOf, PrincipalOf
from asr_api.http.error_examples import documented_errors
from asr_api.monitoring.health_checks import CheckResult, HealthChecks
from asr_api.schemas.tasks import utc
from asr_core.queue import Eviction, OrphanedBlobs, WorkerRecord

router = APIRouter(tags=["operations"])
_MOST_PROBLEMS = 10


class DependencyHealth(BaseModel):
    """One thing the platform leans on."""

    status: Literal["ok", "unavailable"]
    message: str = ""
    seconds: float | None = Field(description="how long the check took")

    @classmethod
    def of(cls, result: CheckResult[None]) -> DependencyHealth:
        return cls(
            status="ok" if result.ok else "unavailable",
            message=result.message,
            seconds=round(result.seconds, 4),
        )


class WorkersHealth(BaseModel):
    """`none` is not an error: the operator starts workers when there is work. `blocked`: some
    take no work, as their disk is full.
    """

    status: Literal["ok", "none", "blocked", "unknown"]
    alive: int | None = Field(None, description="null while Redis is unavailable")
    blocked: int | None = Field(None, description="how many of these take no work")
    problems: list[str] = Field([], description="the reasons, of ten of them at most")

    @classmethod
    def of(cls, records: Sequence[WorkerRecord]) -> WorkersHealth:
        problems = [f"{each.worker}: {each.problem}" for each in records if each.problem]
        return cls(
            status="blocked" if problems else "ok" if records else "none",
            alive=len(records),
            blocked=len(problems),
            problems=problems[:_MOST_PROBLEMS],
        )


class DataHealth(BaseModel):
    """Whether Redis still holds what belongs to the store; see operations on what to do."""

    status: Literal["ok", "lost", "unknown"]
    since: datetime | None = Field(None, description="when the loss was noticed")
    recordings_without_task: int | None = Field(None, description="null before the first count")
    results_without_task: int | None = None

    @classmethod
    def of(cls, orphans: OrphanedBlobs | None) -> DataHealth:
        if orphans is None:
            return cls(status="unknown")
        return cls(
            status="ok" if orphans.loss is None else "lost",
            since=None if orphans.lost_at is None else utc(orphans.lost_at),
            recordings_without_task=orphans.recordings,
            results_without_task=orphans.results,
        )


class EvictionHealth(BaseModel):
    """Whether a full Redis throws keys away; `refused`: any of them, so no new work is taken."""

    status: Literal["ok", "warning", "refused", "unknown"]
    policy: str = Field("", description="Redis's maxmemory-policy; empty where unknown")
    evicted_keys: int | None = Field(None, description="since Redis started")
    message: str = ""

    @classmethod
    def of(cls, state: Eviction | None) -> EvictionHealth:
        if state is None:
            return cls(status="unknown")
        statuses: dict[str, Literal["ok", "warning", "refused"]] = {
            "nothing": "ok", "expiring": "warning", "all": "refused",
        }  # fmt: skip
        return cls(
            status=statuses[state.evicts],
            policy=state.policy,
            evicted_keys=state.evicted_keys,
            message=state.problem or state.note,
        )


class HealthBody(BaseModel):
    """`degraded`: submissions are accepted, but no worker is alive, a worker takes no work, data
    was lost, or Redis may evict keys that expire.

    Where keys are required, everything except each `status` needs the scope `admin`.
    """

    status: Literal["ok", "degraded", "unavailable"]
    redis: DependencyHealth
    store: DependencyHealth
    workers: WorkersHealth
    data: DataHealth
    eviction: EvictionHealth

    def for_everybody(self) -> HealthBody:
        """How each part stands: no counts, names or reasons of what is the platform's own."""
        return HealthBody(
            status=self.status,
            redis=DependencyHealth(status=self.redis.status, seconds=None),
            store=DependencyHealth(status=self.store.status, seconds=None),
            workers=WorkersHealth(status=self.workers.status),
            data=DataHealth(status=self.data.status),
            eviction=EvictionHealth(status=self.eviction.status),
        )


@router.get("/health", include_in_schema=False)  # where FunASR's own server has it
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
async def health(checks: HealthChecksOf, principal: PrincipalOf, response: Response) -> HealthBody:
    """Quick also when a dependency hangs: each is given two seconds."""
    timeout_seconds = checks.timeout_seconds
    redis, store = await asyncio.gather(
        checks.redis.result(timeout_seconds), checks.store.result(timeout_seconds)
    )
    workers = await _workers(checks, redis, timeout_seconds)
    data = await _data(checks, redis, timeout_seconds)
    eviction = await _eviction(checks, redis, timeout_seconds)
    healthy = workers.status == "ok" and data.status == "ok" and eviction.status == "ok"
    status: Literal["ok", "degraded", "unavailable"] = "ok" if healthy else "degraded"
    if not (redis.ok and store.ok):
        status = "unavailable"
        response.status_code = 503
        response.headers["Retry-After"] = "5"
    response.headers["Cache-Control"] = "no-store"
    body = HealthBody(
        status=status,
        redis=DependencyHealth.of(redis),
        store=DependencyHealth.of(store),
        workers=workers,
        data=data,
        eviction=eviction,
    )
    return body if principal.admin else body.for_everybody()


async def _workers(
    checks: HealthChecks, redis: CheckResult[None], timeout_seconds: float
) -> WorkersHealth:
    if not redis.ok:
        return WorkersHealth(status="unknown")
    counted = await checks.workers.result(timeout_seconds)
    if not counted.ok or counted.value is None:
        return WorkersHealth(status="unknown")
    return WorkersHealth.of(counted.value)


async def _data(
    checks: HealthChecks, redis: CheckResult[None], timeout_seconds: float
) -> DataHealth:
    if not redis.ok:
        return DataHealth.of(None)
    return DataHealth.of((await checks.orphans.result(timeout_seconds)).value)


async def _eviction(
    checks: HealthChecks, redis: CheckResult[None], timeout_seconds: float
) -> EvictionHealth:
    """Told as healthy where Redis takes no work, which may be the reason; not where it hangs."""
    if not redis.ok and redis.seconds >= timeout_seconds:
        return EvictionHealth.of(None)
    return EvictionHealth.of((await checks.eviction.result(timeout_seconds)).value)
