"""A task's state and transcript, waited for and read."""

from __future__ import annotations

import asyncio
import time

from fastapi import Request
from pydantic import ValidationError

from asr_api.errors import ResultGone
from asr_api.http.disconnect import disconnected
from asr_api.services import Services
from asr_core.errors import StoreUnavailable
from asr_core.result import Transcript
from asr_core.store import StoreObjectMissing
from asr_core.task import Task


async def task_after(
    services: Services, request: Request, task_id: str, tenant: str, wait_seconds: float
) -> Task:
    """The task once it has ended, when `wait_seconds` are over, or when the client has gone."""
    task = await services.producer.get(task_id, tenant)
    if task.state.terminal or wait_seconds <= 0:
        return task
    deadline = time.monotonic() + wait_seconds
    gone = asyncio.create_task(disconnected(request))
    try:
        async with services.watcher.watch(task_id) as changes:
            task = await services.producer.get(task_id, tenant)
            while not task.state.terminal:
                change = asyncio.ensure_future(anext(changes))
                left_seconds = max(0.0, deadline - time.monotonic())
                await asyncio.wait(
                    {change, gone}, timeout=left_seconds, return_when=asyncio.FIRST_COMPLETED
                )
                if not change.done():
                    change.cancel()
                    break
                task = await services.producer.get(task_id, tenant)
    finally:
        gone.cancel()
    return task


async def transcript_of(services: Services, task: Task) -> Transcript:
    """Of a completed task. Raises ResultGone, StoreUnavailable."""
    try:
        return Transcript.model_validate_json(await services.store.get(task.result))
    except StoreObjectMissing:
        raise ResultGone(f"The result of task {task.task_id} has been deleted.") from None
    except ValidationError as error:
        raise StoreUnavailable(f"The result of task {task.task_id} cannot be read.") from error
