"""Leases of callers, at the level of the queue."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
import pytest_asyncio
import uuid_utils

from asr_core.queue import Submission, Waiter, WaiterRegistry
from asr_core.task import NewTask, State

GRACE_SECONDS = 0.9

pytestmark = pytest.mark.asyncio


class Counter:
    """Submits for callers, as the API does."""

    def __init__(self, queue: Any) -> None:
        self.queue = queue
        self.callers = WaiterRegistry(queue.connection, grace_seconds=GRACE_SECONDS)

    async def submit(self, caller: str, *, fingerprint: str = "same") -> Submission:
        task = NewTask(
            task_id=str(uuid_utils.uuid7()), bytes=1, duration_seconds=1, fingerprint=fingerprint
        )
        made: Submission = await self.queue.producer.submit(task, Waiter(caller, GRACE_SECONDS))
        return made

    async def cancelled(self, *, seconds: float = 10) -> list[str]:
        """What is cancelled next."""
        async with asyncio.timeout(seconds):
            while not (ids := await self.callers.cancel_abandoned()):
                await asyncio.sleep(0.05)
            return ids


@pytest_asyncio.fixture
async def counter(queue: Any) -> Counter:
    counter = Counter(queue)
    await counter.callers.cancel_abandoned()  # this Redis is first seen now
    return counter


async def test_a_hundred_equal_submits_at_once_are_one_task(counter: Counter) -> None:
    made = await asyncio.gather(*(counter.submit(f"caller-{number}") for number in range(100)))
    assert len({one.task_id for one in made}) == 1
    assert sum(one.created for one in made) == 1
    assert counter.queue.raw.xlen("asr_tasks") == 1


async def test_a_caller_that_is_renewed_keeps_its_task_and_one_that_is_not_loses_it(
    counter: Counter,
) -> None:
    kept = (await counter.submit("stays", fingerprint="kept")).task_id
    lost = (await counter.submit("dies", fingerprint="lost")).task_id
    until = time.monotonic() + 3 * GRACE_SECONDS
    cancelled: list[str] = []
    while time.monotonic() < until:
        await counter.callers.renew([(kept, "stays")])
        cancelled += await counter.callers.cancel_abandoned()
        await asyncio.sleep(0.1)
    assert cancelled == [lost]
    assert (await counter.queue.producer.get(kept)).state is State.QUEUED


async def test_nobody_counts_as_gone_until_a_redis_that_came_back_is_trusted(
    counter: Counter,
) -> None:
    task_id = (await counter.submit("waits")).task_id
    [(_, ends_ms)] = counter.queue.raw.zrange(f"asr:callers:{task_id}", 0, -1, withscores=True)
    while time.time() * 1000 <= ends_ms:
        await asyncio.sleep(0.02)
    counter.queue.raw.delete("asr:redis_seen")  # as another run id, or a long silence
    seen_at = time.monotonic()
    assert await counter.callers.cancel_abandoned() == []
    assert await counter.cancelled() == [task_id]
    assert time.monotonic() - seen_at >= 0.9 * GRACE_SECONDS


async def test_nothing_of_callers_is_left_when_all_have_their_reply(counter: Counter) -> None:
    made = await counter.submit("one")
    await counter.submit("two")
    consumer = await counter.queue.consumer()
    [claim] = await counter.queue.claim(consumer)
    await counter.queue.finish(consumer, claim)
    for caller in ("one", "two"):
        await counter.callers.leave(made.task_id, caller, answered=True)
    left = counter.queue.raw.keys("asr:callers:*") + counter.queue.raw.keys("asr:join:*")
    assert (left, counter.queue.raw.zcard("asr:attended")) == ([], 0)
