"""`GET /api/v1/asr/history`."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from starlette.responses import StreamingResponse

from asr_api.dependencies import ProducerOf, RootOf, SettingsOf, TenantOf
from asr_api.http.error_examples import documented_errors
from asr_api.http.head import is_head
from asr_api.schemas.tasks import HistoryBody, RetentionBody, TaskBody
from asr_api.tasks.history_page import FIRST_GROUP, PAGE_MAX_BYTES, plan_page, written
from asr_core.errors import InvalidOption, QueueUnavailable
from asr_core.task import State
from asr_core.text_limits import TASK_ID

router = APIRouter(tags=["tasks"])

_JSON = "application/json"


@router.get(
    "/api/v1/asr/history",
    response_model=HistoryBody,
    operation_id="history",
    summary="Tasks, newest first",
    description="A page may hold fewer tasks than requested, and has at most "
    f"{PAGE_MAX_BYTES // 1024} KiB; the end is where `next_cursor` is null.",
    responses=documented_errors(InvalidOption, QueueUnavailable),
)
async def history(
    request: Request,
    producer: ProducerOf,
    settings: SettingsOf,
    tenant: TenantOf,
    root: RootOf,
    state: Annotated[State | None, Query(description="only tasks in this state")] = None,
    cursor: Annotated[
        str,
        Query(
            max_length=TASK_ID.characters,
            pattern=r"^[0-9A-Za-z-]*$",
            description="`next_cursor` of the previous page",
        ),
    ] = "",
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> Response:
    """Sent while it is read from Redis."""
    ids, next_cursor = await producer.history_ids(
        tenant=tenant, state=state, cursor=cursor, limit=limit
    )
    page = await plan_page(producer, ids, next_cursor)
    retention = RetentionBody.of(settings).model_dump_json()
    pieces = written(
        producer,
        page,
        lambda task: TaskBody.of(task, root).model_dump_json().encode(),
        before_end=f'"retention":{retention},'.encode(),
    )
    if len(ids) <= FIRST_GROUP:  # it is at hand: its length can be told
        return Response(b"".join([piece async for piece in pieces]), media_type=_JSON)
    if is_head(request):
        return StreamingResponse(iter(()), media_type=_JSON)
    return StreamingResponse(pieces, media_type=_JSON)
