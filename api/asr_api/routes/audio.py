"""`GET` and `HEAD /api/v1/asr/audio/{task_id}`: the original file, with Range."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated, Any

from fastapi import APIRouter, Header, Request, Response
from starlette.responses import StreamingResponse

from asr_api.dependencies import ProducerOf, StoreOf, TenantOf
from asr_api.http.error_examples import documented_errors
from asr_api.http.filenames import attachment_disposition
from asr_api.http.head import is_head
from asr_api.http.ranges import ByteRange, parse_range
from asr_api.routes.task_ids import TaskId
from asr_core.errors import (
    AudioGone,
    QueueUnavailable,
    RangeNotSatisfiable,
    StateConflict,
    StoreUnavailable,
    TaskNotFound,
)
from asr_core.store import Store, StoreObjectMissing
from asr_core.task import Task, audio_path

router = APIRouter(tags=["tasks"])

_BINARY: dict[str, Any] = {"audio/*": {"schema": {"type": "string", "format": "binary"}}}


@router.get(
    "/api/v1/asr/audio/{task_id}",
    operation_id="audio",
    summary="The recording as it was submitted",
    response_class=StreamingResponse,
    responses={
        200: {"description": "All of it", "content": _BINARY},
        206: {"description": "The range asked for", "content": _BINARY},
        304: {"description": "`If-None-Match` names it"},
        **documented_errors(
            TaskNotFound,
            StateConflict,
            AudioGone,
            RangeNotSatisfiable,
            QueueUnavailable,
            StoreUnavailable,
        ),
    },
)
async def audio(
    task_id: TaskId,
    request: Request,
    producer: ProducerOf,
    store: StoreOf,
    tenant: TenantOf,
    range: Annotated[
        str | None, Header(description="one range of bytes", examples=["bytes=0-65535"])
    ] = None,
    if_range: Annotated[str | None, Header()] = None,
    if_none_match: Annotated[str | None, Header()] = None,
) -> Response:
    """The file never changes, so its ETag is the task's id."""
    task = await producer.get(task_id, tenant)
    path = audio_path(task.task_id)
    size = await recording_size(store, task)
    etag = f'"{task.task_id}"'
    headers = _headers(task, etag)
    if if_none_match is not None and (if_none_match.strip() == "*" or etag in if_none_match):
        return Response(status_code=304, headers={"ETag": etag})
    wanted = parse_range(range if if_range in (None, etag) else None, size)
    part = wanted or ByteRange(0, size, size)
    headers["Content-Length"] = str(part.length)
    if wanted is not None:
        headers["Content-Range"] = wanted.content_range
    status = 200 if wanted is None else 206
    if is_head(request):
        return Response(status_code=status, headers=headers, media_type=task.content_type)
    body = _content(store, path, part)
    return StreamingResponse(
        body, status_code=status, headers=headers, media_type=task.content_type
    )


async def recording_size(store: Store, task: Task) -> int:
    """In bytes. Raises StateConflict where it has not been fetched, AudioGone once it has been
    deleted, or is about to be.
    """
    if task.source_url:
        raise StateConflict(f"The audio of task {task.task_id} has not been fetched.")
    gone = AudioGone(f"The audio of task {task.task_id} has been deleted.")
    if task.audio_deleted_at is not None:
        raise gone
    try:
        return await store.size(audio_path(task.task_id))
    except StoreObjectMissing:
        raise gone from None


def _headers(task: Task, etag: str) -> dict[str, str]:
    return {
        "Accept-Ranges": "bytes",
        "ETag": etag,
        "Cache-Control": "private, no-cache",
        "Content-Disposition": attachment_disposition(task.filename, fallback=task.task_id),
        "Content-Security-Policy": "sandbox; default-src 'none'",
    }


async def _content(store: Store, path: str, part: ByteRange) -> AsyncGenerator[bytes, None]:
    if part.length == 0:
        return
    async with aclosing(store.stream(path, start=part.start, end=part.end)) as chunks:
        async for chunk in chunks:
            yield chunk
