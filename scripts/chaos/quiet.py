"""Waits until the platform is quiet: every accepted task has ended, and nothing moves."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import redis.exceptions

from asr_core.errors import AsrError
from asr_core.task import State
from chaos.ledger import Ledger
from chaos.watch import Watcher

LOOK_SECONDS = 0.5


async def until_quiet(
    watcher: Watcher, ledger: Ledger, *, patience_seconds: float, tell: Callable[[str], None]
) -> bool:
    """True when no task is open; False after `patience_seconds` in which none ended."""
    moved_at, open_before = time.monotonic(), -1
    while time.monotonic() - moved_at < patience_seconds:
        try:
            open_now = await count_open(watcher)
        except (AsrError, redis.exceptions.RedisError, OSError):
            open_now = open_before
        if open_now == 0:
            return True
        if open_now != open_before:
            moved_at, open_before = time.monotonic(), open_now
        tell(f"waiting for {open_now} open tasks")
        await asyncio.sleep(LOOK_SECONDS)
    return False


async def count_open(watcher: Watcher) -> int:
    """Tasks that the history calls queued or processing. Raises what Redis raises."""
    connection = watcher.stage.connection
    async with connection.client.pipeline(transaction=True) as pipe:
        for tenant in sorted(await connection.client.smembers(connection.keys.tenants)):
            for state in (State.QUEUED, State.PROCESSING):
                pipe.zcard(connection.keys.history(tenant, state))
        counts: list[int] = await pipe.execute()
    return sum(counts)
