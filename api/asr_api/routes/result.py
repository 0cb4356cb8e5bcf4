"""`GET /api/v1/asr/result/{task_id}`."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from asr_api.dependencies import ReaderOf, RootOf, SettingsOf, TenantOf
from asr_api.errors import ResultGone
from asr_api.http.error_examples import documented_errors
from asr_api.http.model_notice import NOTICE_HEADERS, notice_header
from asr_api.routes.task_ids import TaskId
from asr_api.schemas.tasks import ResultBody
from asr_core.errors import (
    InvalidOption,
    QueueUnavailable,
    StateConflict,
    StoreUnavailable,
    TaskNotFound,
)
from asr_core.render import ResultFormat, render
from asr_core.task import State, Task

router = APIRouter(tags=["tasks"])


_OTHER_FORMATS: dict[str, Any] = {
    "text/plain": {"example": "Good morning."},
    "application/x-subrip": {"example": "1\n00:00:00,000 --> 00:00:01,200\nGood morning.\n"},
    "text/vtt": {"example": "WEBVTT\n\n00:00:00.000 --> 00:00:01.200\nGood morning.\n"},
}


@router.get(
    "/api/v1/asr/result/{task_id}",
    response_model=ResultBody,
    operation_id="result",
    summary="A task's state, and its transcript when there is one",
    responses={
        200: {"content": _OTHER_FORMATS, "headers": NOTICE_HEADERS},
        **documented_errors(
            TaskNotFound,
            StateConflict,
            ResultGone,
            InvalidOption,
            QueueUnavailable,
            StoreUnavailable,
        ),
    },
)
async def result(
    task_id: TaskId,
    request: Request,
    reader: ReaderOf,
    settings: SettingsOf,
    tenant: TenantOf,
    root: RootOf,
    wait: Annotated[
        float,
        Query(
            ge=0,
            description="seconds to wait for the end of the task, up to the server's maximum",
            examples=[30],
        ),
    ] = 0.0,
    format: Annotated[
        ResultFormat, Query(description="formats other than json need a completed task")
    ] = ResultFormat.JSON,
) -> ResultBody | Response:
    """As json every state is a 200; the other formats answer 409 until the task is completed."""
    wait_seconds = min(wait, settings.longpoll_max_seconds)
    task = await reader.ended(request, task_id, tenant, wait_seconds)
    if format is not ResultFormat.JSON:
        _require_completed(task)
        # Hours of words take seconds: meanwhile the loop serves others.
        transcript = await reader.transcript(task)
        text = await asyncio.to_thread(render, transcript, format)
        headers = notice_header(transcript.model)
        return Response(text, media_type=format.media_type, headers=headers)
    if task.state is State.COMPLETED:
        transcript = await reader.transcript(task)
        return ResultBody.with_transcript(task, root, position=None, transcript=transcript)
    position = await reader.producer.position(task)
    return ResultBody.with_transcript(task, root, position=position, transcript=None)


def _require_completed(task: Task) -> None:
    if task.state is State.COMPLETED:
        return
    if task.error is not None:
        raise StateConflict(
            f"The task failed and has no transcript: {task.error.code}: {task.error.message}"
        )
    raise StateConflict(f"The task is {task.state.value}; it has no transcript{_yet(task)}.")


def _yet(task: Task) -> str:
    return "" if task.state.terminal else " yet"
