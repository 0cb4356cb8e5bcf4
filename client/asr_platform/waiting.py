"""Waiting for a task by long polls: each is answered when the task ends or its time is over."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from urllib.parse import quote

from asr_platform.errors import InvalidArgument, WaitTimeout
from asr_platform.models import Task, TaskRef, task_id_of
from asr_platform.replies import completed, read
from asr_platform.session import Session

POLL_SECONDS = 30.0
PROGRESS_POLL_SECONDS = 5.0
# Between two polls, also of a server or a proxy that answers at once.
PAUSE_SECONDS = 0.5
# How late the reply to a wait with a deadline may be before the connection counts as broken.
_SLACK_SECONDS = 10.0


def task_path(route: str, task: TaskRef) -> str:
    """Of a route that is about one task."""
    task_id = task_id_of(task)
    if not task_id:
        raise InvalidArgument("the id of a task is empty")
    return f"/api/v1/asr/{route}/{quote(task_id, safe='')}"


async def read_task(
    session: Session, task: TaskRef, *, wait_seconds: float = 0.0, until: float | None = None
) -> Task:
    """The task once it has ended, or after `wait_seconds`; `until`: on the monotonic clock."""
    slack_seconds = session.timeout_seconds if until is None else _SLACK_SECONDS
    reply = await session.request(
        "GET",
        task_path("result", task),
        params={"wait": f"{wait_seconds:g}"} if wait_seconds else {},
        read_seconds=wait_seconds + slack_seconds,
        until=until,
    )
    return read(reply, Task)


async def wait_for(
    session: Session,
    task: TaskRef,
    timeout: float | None,
    on_progress: Callable[[Task], object] | None,
) -> Task:
    """The completed task. Raises TaskNotCompleted, WaitTimeout."""
    deadline = None if timeout is None else time.monotonic() + max(timeout, 0.0)
    poll_seconds = PROGRESS_POLL_SECONDS if on_progress else POLL_SECONDS
    while True:
        asked_at = time.monotonic()
        if deadline is not None:
            poll_seconds = min(poll_seconds, max(deadline - asked_at, 0.0))
        known = await read_task(session, task, wait_seconds=poll_seconds, until=deadline)
        if on_progress:
            on_progress(known)
        if known.ended:
            return completed(known)
        if deadline is not None and time.monotonic() >= deadline:
            error = WaitTimeout(f"task {known.task_id} is {known.status} after {timeout:.3g} s")
            error.task_id = known.task_id
            raise error
        again_at = asked_at + min(PAUSE_SECONDS, poll_seconds)
        await asyncio.sleep(max(again_at - time.monotonic(), 0.0))
