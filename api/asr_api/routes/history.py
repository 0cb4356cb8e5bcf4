"""`GET /api/v1/asr/history`."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from asr_api.bodies import HistoryBody, RetentionBody, TaskBody
from asr_api.documented import documented_errors
from asr_api.services import RootOf, ServicesOf, TenantOf
from asr_core.errors import InvalidOption, QueueUnavailable
from asr_core.task import State

router = APIRouter(tags=["tasks"])


@router.get(
    "/api/v1/asr/history",
    response_model=HistoryBody,
    operation_id="history",
    summary="Tasks, newest first",
    responses=documented_errors(InvalidOption, QueueUnavailable),
)
async def history(
    services: ServicesOf,
    tenant: TenantOf,
    root: RootOf,
    state: Annotated[State | None, Query(description="only tasks in this state")] = None,
    cursor: Annotated[
        str, Query(pattern=r"^[0-9A-Za-z-]{0,64}$", description="`next_cursor` of the page before")
    ] = "",
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> HistoryBody:
    """A page may hold fewer tasks than asked for; the end is where `next_cursor` is null."""
    page = await services.producer.history(tenant=tenant, state=state, cursor=cursor, limit=limit)
    return HistoryBody(
        tasks=[TaskBody.of(task, root) for task in page.tasks],
        retention=RetentionBody.of(services.settings),
        next_cursor=page.next_cursor or None,
    )
