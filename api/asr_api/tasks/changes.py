"""Waits until a task changes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

from fastapi.sse import format_sse_event

from asr_core.queue import TaskChange


async def until_change(
    changes: AsyncIterator[TaskChange], heartbeat_seconds: float, end_at: float
) -> AsyncIterator[bytes]:
    """A comment per silent `heartbeat_seconds`, until something changed or until `end_at`."""
    change = asyncio.ensure_future(anext(changes))
    try:
        while (left_seconds := end_at - time.monotonic()) > 0:
            await asyncio.wait({change}, timeout=min(heartbeat_seconds, left_seconds))
            if change.done():
                change.result()
                return
            yield format_sse_event(comment="heartbeat")
    finally:
        change.cancel()
