"""`GET /api/v1/asr/events/{task_id}`: server-sent events until the task has ended."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Header, Response
from fastapi.sse import format_sse_event
from starlette.responses import StreamingResponse

from asr_api.dependencies import ReaderOf, SettingsOf, TenantOf
from asr_api.http.error_examples import documented_errors
from asr_api.routes.task_ids import TaskId
from asr_api.settings.api import ApiSettings
from asr_api.tasks.changes import until_change
from asr_api.tasks.results import TaskReader
from asr_core.errors import DependencyError, QueueUnavailable, TaskNotFound
from asr_core.queue import Producer
from asr_core.task import State, Task

router = APIRouter(tags=["tasks"])

_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
_RETRY_MS = 3000
_ORDER = list(State)
_EVENT: dict[str, Any] = {
    "type": "object",
    "description": "one event; `data` is JSON",
    "properties": {
        "id": {"type": "string"},
        "event": {"type": "string", "enum": ["state", "progress", "deleted"]},
        "data": {"type": "string", "contentMediaType": "application/json"},
    },
}
_EXAMPLE = (
    'id: 1-1-000\nevent: state\ndata: {"status": "processing", "progress": 0.0, "attempt": 1}\n\n'
    'id: 1-1-420\nevent: progress\ndata: {"status": "processing", "progress": 0.42}\n\n'
    'id: 1-2-999\nevent: state\ndata: {"status": "completed", "progress": 1.0, "attempt": 1}\n\n'
)


@router.get(
    "/api/v1/asr/events/{task_id}",
    operation_id="events",
    summary="State and progress as server-sent events",
    response_class=StreamingResponse,
    responses={
        200: {
            "description": "Events `state`, `progress`, `deleted`; ends with the task",
            "content": {"text/event-stream": {"schema": _EVENT, "example": _EXAMPLE}},
        },
        204: {"description": "A client that reconnects has already seen the end: stop"},
        **documented_errors(TaskNotFound, QueueUnavailable),
    },
)
async def events(
    task_id: TaskId,
    reader: ReaderOf,
    settings: SettingsOf,
    tenant: TenantOf,
    last_event_id: Annotated[
        str | None, Header(description="browsers send it when they reconnect", examples=["1-1-420"])
    ] = None,
) -> Response:
    """The present state comes first, so nothing is missed by connecting late or again.

    A stream ends with its task, and after `ASR_EVENTS_MAX_SECONDS`: then connect again. It ends
    within seconds of its key, too: then connecting again is refused.
    """
    task = await reader.producer.get(task_id, tenant)
    if task.state.terminal and last_event_id == event_id(task):
        return Response(status_code=204)
    stream = _events(reader, settings, task_id, tenant)
    return StreamingResponse(stream, media_type="text/event-stream", headers=_HEADERS)


def event_id(task: Task) -> str:
    """Attempt, state and progress in thousandths: equal for equal news, on every pod."""
    progress = 999 if task.state is State.COMPLETED else int(task.progress * 999)
    return f"{task.attempt}-{_ORDER.index(task.state)}-{progress:03d}"


async def _events(
    reader: TaskReader, settings: ApiSettings, task_id: str, tenant: str
) -> AsyncIterator[bytes]:
    yield format_sse_event(comment="stream open", retry=_RETRY_MS)
    end_at = time.monotonic() + settings.events_max_seconds
    async with reader.watcher.watch(task_id) as changes:
        sent: Task | None = None
        while time.monotonic() < end_at:
            try:
                task = await reader.producer.get(task_id, tenant)
            except TaskNotFound:
                yield format_sse_event(event="deleted", data_str=json.dumps({"status": "deleted"}))
                return
            except DependencyError:
                yield format_sse_event(comment="the queue is away")
            else:
                if sent is None or event_id(task) != event_id(sent):
                    yield await _event(reader.producer, task, sent)
                sent = task
                if task.state.terminal:
                    return
            async for comment in until_change(changes, settings.events_heartbeat_seconds, end_at):
                yield comment


async def _event(producer: Producer, task: Task, sent: Task | None) -> bytes:
    same_state = sent is not None and (sent.state, sent.attempt) == (task.state, task.attempt)
    data: dict[str, Any] = {
        "task_id": task.task_id,
        "status": task.state.value,
        "progress": 1.0 if task.state is State.COMPLETED else task.progress,
        "attempt": task.attempt,
        "error": task.error.model_dump() if task.error else None,
    }
    if task.state is State.QUEUED:
        data["position"] = await _position(producer, task)
    event = "progress" if same_state else "state"
    return format_sse_event(event=event, id=event_id(task), data_str=json.dumps(data))


async def _position(producer: Producer, task: Task) -> int | None:
    try:
        return await producer.position(task)
    except DependencyError:
        return None
