"""A failover that keeps connections open, as ElastiCache and Memorystore have it: new connections
reach the new master, those that stand stay with the old one, which is a replica now.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio

from asr_api.services import QUEUE_RETRIES
from asr_core.errors import QueueUnavailable
from asr_core.queue import Consumer, LeaseKeeper, Outcome, Producer, RedisConnection, TaskWatcher
from asr_core.task import State
from chaos.proxy import FaultProxy

pytestmark = pytest.mark.asyncio


@dataclass
class Pair:
    """A master behind a name (the proxy), and a replica in step with it."""

    master: Any
    replica: Any
    name: FaultProxy

    async def in_step(self) -> None:
        with self.master.client() as master, self.replica.client() as replica:
            while (
                replica.info("replication")["master_link_status"] != "up"
                or replica.info("replication")["slave_repl_offset"]
                != master.info("replication")["master_repl_offset"]
            ):
                await asyncio.sleep(0.02)

    async def fail_over(self) -> None:
        """The old master does not hear what is published at the new one."""
        await self.in_step()
        with self.master.client() as master, self.replica.client() as replica:
            replica.replicaof("NO", "ONE")
            self.name.target_port = self.replica.port
            master.replicaof("127.0.0.1", "1")
            while master.info("replication")["role"] != "slave":
                await asyncio.sleep(0.02)


@pytest_asyncio.fixture
async def pair(private_redis: Any) -> Any:
    master = private_redis("--repl-diskless-sync-delay", "0")
    replica = private_redis("--replicaof", "127.0.0.1", str(master.port))
    async with FaultProxy(master.port) as name:
        yield Pair(master, replica, name)


async def test_programs_leave_the_old_master_and_nothing_is_lost_or_done_twice(
    pair: Pair, queue_on: Any
) -> None:
    settings = pair.master.settings(REDIS_PORT=pair.name.port)
    queue = await queue_on(settings, lease_seconds=30.0)
    api = RedisConnection(settings, retries=QUEUE_RETRIES)
    producer = Producer(api, queue.settings)
    watcher = TaskWatcher(api)
    await watcher.start()
    worker = RedisConnection(settings, retries=0)
    consumer = Consumer(worker, queue.settings, pool="default", name="w")
    await consumer.prepare()
    queue.producer = producer
    # Many connections stand by then.
    before = [s.task_id for s in await asyncio.gather(*(queue.submit_one() for _ in range(12)))]
    held = await queue.claim(consumer, 4)
    keeper = LeaseKeeper(
        settings, queue.settings, consumer="w", progress_deadline_seconds=60,
        on_lost=lambda *_: None,
    )  # fmt: skip
    for claim in held:
        keeper.hold(claim.task.task_id, claim.token)
    assert await asyncio.to_thread(keeper.renew_once)

    async with watcher.watch(held[0].task.task_id) as changes, consumer.wake() as woken:
        await asyncio.wait_for(woken.wait(), 20)
        woken.clear()
        await pair.fail_over()
        after = await asyncio.gather(*(queue.submit_one() for _ in range(15)))
        after += [await queue.submit_one() for _ in range(15)]
        assert all(submission.created for submission in after)

        # Without retries a call may fail once; then the worker asks what it has and goes on.
        with pytest.raises(QueueUnavailable, match="READONLY"):
            await queue.claim(consumer, 4)
        recovered = await consumer.recover()
        assert {c.token for c in recovered} == {c.token for c in held}
        renewals = [await asyncio.to_thread(keeper.renew_once) for _ in range(2)]
        assert renewals[1]
        claims = held + await queue.claim(consumer)
        await asyncio.wait_for(woken.wait(), 20)  # subscribed anew
        assert set(await queue.finish(consumer, *claims)) == {Outcome.OK}
        async with asyncio.timeout(20):
            while (await anext(changes)).state != State.COMPLETED:
                pass

    ids = [*before, *(submission.task_id for submission in after)]
    assert len(set(ids)) == 42
    assert sorted(c.task.task_id for c in claims) == sorted(ids)
    tasks = [await producer.get(task_id) for task_id in ids]
    assert {(task.state, task.attempt) for task in tasks} == {(State.COMPLETED, 1)}
    with pair.replica.client() as raw:
        assert raw.xlen("asr_tasks") == 0
    keeper.stop()
    await watcher.stop()
    await api.close()
    await worker.close()
