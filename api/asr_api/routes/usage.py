"""`GET /api/v1/usage`."""

from __future__ import annotations

import re
from datetime import date, timedelta
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, BeforeValidator, Field

from asr_api.dependencies import TenantsOf
from asr_api.http.error_examples import documented_errors
from asr_api.routes.tenant_view import ViewOf
from asr_core.access import Usage
from asr_core.errors import InvalidOption, QueueUnavailable
from asr_core.queue.tenants import today

KEPT_DAYS = 400
DEFAULT_DAYS = 30

router = APIRouter(tags=["operations"])


def _only_iso(text: object) -> object:
    """Pydantic would read a bare number as seconds since 1970."""
    if isinstance(text, str) and not re.fullmatch(r"\d{4}-\d{2}-\d{2}", text, re.ASCII):
        raise ValueError("a day is written as YYYY-MM-DD")
    return text


Day = Annotated[date, BeforeValidator(_only_iso)]


class DayUsage(BaseModel):
    """One day, in UTC; counted when a task completes."""

    day: date
    tasks: int
    audio_seconds: float
    speech_seconds: float = Field(description="of which somebody speaks")


class TenantUsage(BaseModel):
    """One tenant's days with completed tasks, and their sum."""

    tenant: str
    tasks: int
    audio_seconds: float
    speech_seconds: float = Field(description="of which somebody speaks")
    days: list[DayUsage]


class UsageBody(BaseModel):
    """From the first day to the last, both included."""

    first: date
    last: date
    tenants: list[TenantUsage] = Field(description="by name; only those with usage")

    @classmethod
    def of(cls, first: date, last: date, used: list[Usage]) -> UsageBody:
        tenants = []
        for name in sorted({u.tenant for u in used}):
            own = [u for u in used if u.tenant == name]
            days = [
                DayUsage(
                    day=u.day,
                    tasks=u.tasks,
                    audio_seconds=u.audio_seconds,
                    speech_seconds=u.speech_seconds,
                )
                for u in own
            ]
            tenants.append(
                TenantUsage(
                    tenant=name,
                    tasks=sum(u.tasks for u in own),
                    audio_seconds=round(sum(u.audio_seconds for u in own), 3),
                    speech_seconds=round(sum(u.speech_seconds for u in own), 3),
                    days=days,
                )
            )
        return cls(first=first, last=last, tenants=tenants)


@router.get(
    "/api/v1/usage",
    response_model=UsageBody,
    operation_id="usage",
    summary="Audio transcribed, by tenant and day",
    responses=documented_errors(InvalidOption, QueueUnavailable),
)
async def usage(
    tenants: TenantsOf,
    tenant: ViewOf,
    first: Annotated[
        Day | None, Query(alias="from", description="default: 30 days before `to`")
    ] = None,
    last: Annotated[Day | None, Query(alias="to", description="default: today")] = None,
) -> UsageBody:
    """The key's own tenant; with the scope `admin` all of them. Kept for 400 days; of days before
    or to come there is none.
    """
    last = last or today()
    first = first or date.fromordinal(max(1, last.toordinal() - DEFAULT_DAYS))
    oldest = today() - timedelta(days=KEPT_DAYS)  # what is older has gone, and needs no look
    newest = min(last, today())
    used = await tenants.usage(max(first, oldest), newest, tenant)
    return UsageBody.of(first, last, used)
