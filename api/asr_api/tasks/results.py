"""A task's state and transcript, waited for and read."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

from fastapi import Request
from pydantic import ValidationError

from asr_api.errors import ResultGone
from asr_api.http.disconnect import disconnected
from asr_core.errors import StoreUnavailable
from asr_core.queue import Producer, TaskWatcher
from asr_core.result import Transcript
from asr_core.store import Store, StoreObjectMissing
from asr_core.task import Task


@dataclass(frozen=True)
class TaskReader:
    """Reads tasks and their transcripts, and waits for changes."""

    producer: Producer
    watcher: TaskWatcher
    store: Store

    async def ended(self, request: Request, task_id: str, tenant: str, wait_seconds: float) -> Task:
        """The task once it has ended, when `wait_seconds` are over, or when the client has gone."""
        task = await self.producer.get(task_id, tenant)
        if task.state.terminal or wait_seconds <= 0:
            return task
        deadline = time.monotonic() + wait_seconds
        gone = asyncio.create_task(disconnected(request))
        try:
            async with self.watcher.watch(task_id) as changes:
                task = await self.producer.get(task_id, tenant)
                while not task.state.terminal:
                    change = asyncio.ensure_future(anext(changes))
                    left_seconds = max(0.0, deadline - time.monotonic())
                    await asyncio.wait(
                        {change, gone}, timeout=left_seconds, return_when=asyncio.FIRST_COMPLETED
                    )
                    if not change.done():
                        change.cancel()
                        break
                    task = await self.producer.get(task_id, tenant)
        finally:
            gone.cancel()
        return task

    async def transcript(self, task: Task) -> Transcript:
        """Of a completed task. Raises ResultGone, StoreUnavailable."""
        try:
            return Transcript.model_validate_json(await self.store.get(task.result))
        except StoreObjectMissing:
            raise ResultGone(f"The result of task {task.task_id} has been deleted.") from None
        except ValidationError as error:
            raise StoreUnavailable(f"The result of task {task.task_id} cannot be read.") from error
