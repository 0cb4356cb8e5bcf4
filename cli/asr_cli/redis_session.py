"""One question to the Redis of the settings, from a command."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from asr_core.queue import RedisConnection

T = TypeVar("T")


def with_redis(use: Callable[[RedisConnection], Awaitable[T]]) -> T:
    """What `use` returns; QueueUnavailable or SchemaMismatch before it is called."""
    from asr_core.queue import RedisConnection
    from asr_core.settings import RedisSettings

    async def run() -> T:
        connection = RedisConnection(RedisSettings())
        try:
            await connection.ready()
            return await use(connection)
        finally:
            await connection.close()

    return asyncio.run(run())
