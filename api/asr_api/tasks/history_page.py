"""One page of the history, streamed while it is read: only a few records are in memory at a time,
so a slow client holds tens of kilobytes, not a page.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass

from asr_core.errors import DependencyError
from asr_core.process.logs import get_logger
from asr_core.queue import Producer
from asr_core.task import Task

PAGE_MAX_BYTES = 512 * 1024  # 200 tasks with short texts have 180 KiB
GROUP_BYTES = 32 * 1024
FIRST_GROUP = 4
LARGEST_GROUP = 32

Write = Callable[[Task], bytes]


@dataclass(frozen=True)
class PlannedPage:
    """The ids of a page, newest first, and the cursor behind them, empty at the end; `begun` are
    the records of the first of them.
    """

    ids: Sequence[str]
    next_cursor: str
    begun: dict[str, Task]


async def plan_page(producer: Producer, ids: Sequence[str], next_cursor: str) -> PlannedPage:
    """Raises QueueUnavailable while an error can still be sent; once a page has started, it ends
    normally.
    """
    return PlannedPage(ids, next_cursor, await producer.tasks(ids[:FIRST_GROUP]))


async def written(
    producer: Producer, page: PlannedPage, write: Write, *, before_end: bytes
) -> AsyncGenerator[bytes]:
    """`{"tasks":[…],` and `before_end`, a member with its comma, and `"next_cursor":…}`.

    It has at most `PAGE_MAX_BYTES`, or one task. When it is full, or Redis becomes unavailable,
    it ends early and the cursor continues after the last task written.
    """
    yield b'{"tasks":['
    size, heaviest, last, begin = 0, 1, "", 0
    group = page.begun
    length = FIRST_GROUP
    cursor: str | None = None
    while begin < len(page.ids) and cursor is None:
        lines: list[bytes] = []
        for task_id in page.ids[begin : begin + length]:
            task = group.pop(task_id, None)
            text = write(task) if task else b""
            if size and size + len(text) > PAGE_MAX_BYTES:
                cursor = last
                break
            last = task_id
            heaviest = max(heaviest, len(text))
            if text:
                lines.append(b"," + text if size else text)
                size += len(lines[-1])
        if lines:
            yield b"".join(lines)
        begin += length
        if begin < len(page.ids) and cursor is None:
            length = max(1, min(LARGEST_GROUP, GROUP_BYTES // heaviest))
            try:
                group = await producer.tasks(page.ids[begin : begin + length])
            except DependencyError as error:
                get_logger("asr_api.history").warning("page_ended_early", reason=error.message)
                cursor = last
    cursor_json = json.dumps(page.next_cursor or None if cursor is None else cursor)
    yield b"]," + before_end + b'"next_cursor":' + cursor_json.encode() + b"}"
