"""A task that talks to Redis ends when it is asked to."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest

from asr_core.queue import BacklogReader, RedisConnection

pytestmark = pytest.mark.asyncio


async def test_a_cancellation_is_never_lost_whenever_it_comes(
    redis_server: Any, queue: Any
) -> None:
    """redis-py lost one of three on Python 3.11: a loop then ran on, and who awaited it hung."""
    chance = random.Random(1)
    cancelled = 0
    for _ in range(60):
        connection = RedisConnection(redis_server.settings())
        reader = BacklogReader(connection, queue.settings)

        async def read(reader: BacklogReader = reader) -> None:
            for _ in range(3):
                await reader.read()

        task = asyncio.create_task(read())
        await asyncio.sleep(chance.uniform(0, 0.004))
        cancelled += task.cancel()
        await asyncio.wait([task])
        assert task.cancelled() or not task.cancelling()
        await connection.close()
    assert cancelled > 10


async def test_a_timeout_around_calls_stays_a_timeout(queue: Any) -> None:
    async def read_on() -> None:
        async with asyncio.timeout(0.01):
            while True:
                await queue.reader.read()

    for _ in range(20):
        with pytest.raises(TimeoutError):
            await read_on()
    assert (await queue.reader.read()).waiting == 0, "the task itself was not cancelled"
