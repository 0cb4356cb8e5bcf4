"""Redis hangs, refuses, or its replies are lost: no mass reclaim, no phantom backlog, no double."""

import asyncio
import os
import signal
import time
from typing import Any

import pytest
import pytest_asyncio
import uuid_utils
from structlog.testing import capture_logs

from asr_core.errors import QueueUnavailable
from asr_core.queue import Consumer, Finish, LeaseKeeper, Outcome, Producer, RedisConnection
from asr_core.task import NewTask, State
from chaos.proxy import FaultProxy

pytestmark = pytest.mark.asyncio


@pytest_asyncio.fixture
async def replica(queue: Any, private_redis: Any) -> Any:
    """A read-only copy of the queue's Redis."""
    queue.raw.config_set("repl-diskless-sync-delay", 0)
    server = private_redis("--replicaof", "127.0.0.1", str(queue.redis_settings.port))
    async with asyncio.timeout(20):
        while server.client().info("replication")["master_link_status"] != "up":
            await asyncio.sleep(0.02)
    return server


def holding(queue: Any, consumer: Consumer, claims: list[Any]) -> LeaseKeeper:
    keeper = LeaseKeeper(
        queue.redis_settings, queue.settings, consumer=consumer.name,
        progress_deadline_seconds=60, on_lost=lambda *_: None,
    )  # fmt: skip
    for claim in claims:
        keeper.hold(claim.task.task_id, claim.token)
    return keeper


# Nobody could renew: that is nobody's crash.


async def test_a_redis_that_hangs_past_a_lease_costs_no_attempt(
    private_redis: Any, queue_on: Any
) -> None:
    server = private_redis()
    queue = await queue_on(server.settings(), lease_seconds=2.0)
    consumer = await queue.consumer()
    await queue.submit(6)
    *claims, abandoned = await queue.claim(consumer)
    other = await queue.consumer("worker-2")
    await queue.trusted()
    os.kill(server.process.pid, signal.SIGSTOP)
    await queue.outlive_leases(time.time() + queue.settings.lease_seconds)
    os.kill(server.process.pid, signal.SIGCONT)
    began = time.monotonic()
    assert await queue.reap(other) == []
    backlog = await queue.backlog()
    assert (backlog.trusted, backlog.waiting, backlog.in_flight) == (False, 0, 6)
    assert backlog.oldest_wait_seconds == 0
    keeper = holding(queue, consumer, claims)
    assert keeper.renew_once()
    keeper.start()
    # What nobody renews now is taken over, a lease later.
    async with asyncio.timeout(20):
        while not (taken := await queue.reap(other)):
            await asyncio.sleep(0.02)
    assert time.monotonic() - began > 1.9
    assert [claim.task.task_id for claim in taken] == [abandoned.task.task_id]
    keeper.stop()
    assert set(await queue.finish(consumer, *claims)) == {Outcome.OK}
    tasks = [await queue.producer.get(claim.task.task_id) for claim in claims]
    assert {(task.attempt, task.crashes) for task in tasks} == {(1, 0)}


async def test_a_restart_makes_no_phantom_backlog(private_redis: Any, queue_on: Any) -> None:
    server = private_redis("--appendfsync", "always")
    queue = await queue_on(server.settings())
    await queue.submit(5)
    held = await queue.claim(await queue.consumer(), 2)
    released = held[1].task.task_id
    await (await queue.consumer()).release([(released, held[1].token)])
    end = queue.leases_end()
    server.kill()
    await queue.outlive_leases(end)
    server.start()
    queue = await queue_on(server.settings())
    backlog = await queue.backlog()
    assert not backlog.trusted
    # What was handed back is free at once, also now.
    assert (backlog.waiting, backlog.in_flight, backlog.orphans) == (4, 1, 1)
    assert [c.task.task_id for c in await queue.reap(await queue.consumer())] == [released]


async def test_a_file_that_was_being_rewritten_and_is_cut_off_holds_every_accepted_task(
    private_redis: Any, queue_on: Any
) -> None:
    server = private_redis("--appendfsync", "always")
    queue = await queue_on(server.settings())
    ids = await queue.submit(20)
    queue.raw.bgrewriteaof()
    ids += await queue.submit(20)
    server.kill()
    [*_, newest] = sorted(server.folder.glob("appendonlydir/*.incr.aof"))
    with newest.open("ab") as file:
        file.write(b"*3\r\n$3\r\nSET\r\n$9\r\nhalf-writ")
    server.start()
    queue = await queue_on(server.settings())
    assert (await queue.backlog()).waiting == 40
    assert not (await queue.upkeep.reconcile()).repaired
    assert {(await queue.producer.get(task_id)).state for task_id in ids} == {State.QUEUED}


async def test_the_keeper_tries_again_soon_while_redis_is_away(
    private_redis: Any, queue_on: Any
) -> None:
    server = private_redis("--appendfsync", "always")
    queue = await queue_on(server.settings(), lease_seconds=12.0)
    consumer = await queue.consumer()
    await queue.submit()
    [claim] = await queue.claim(consumer)
    keeper = holding(queue, consumer, [claim])
    with capture_logs() as logs:
        keeper.start()
        server.kill()
        async with asyncio.timeout(20):
            while not any(log["event"] == "leases not renewed" for log in logs):
                await asyncio.sleep(0.02)
    server.start()
    began = time.monotonic()
    async with asyncio.timeout(20):
        while keeper.alive_at() < began:
            await asyncio.sleep(0.02)
    assert time.monotonic() - began < 3
    keeper.stop()


# A Redis that answers and refuses.


async def test_a_full_redis_lets_a_new_worker_join_and_upkeep_go_on(
    private_redis: Any, queue_on: Any
) -> None:
    server = private_redis()
    queue = await queue_on(server.settings())
    [first, *_] = await queue.submit(20)
    queue.raw.delete("asr:pools", "asr:schema")
    queue.raw.config_set("maxmemory", "1mb")
    queue.raw.script_flush()
    await queue.connection.ready()
    with pytest.raises(QueueUnavailable, match="used memory"):
        await queue.connection.takes_work()
    with pytest.raises(QueueUnavailable, match="used memory"):
        await queue.submit()
    await queue.producer.prepare()
    consumer = await queue.consumer("joins-now")
    assert [worker.consumer for worker in await queue.reader.workers()] == ["joins-now"]
    queue.raw.delete("asr_tasks")
    assert (await queue.upkeep.reconcile()).readded
    await queue.producer.cancel(first)
    done = 0
    while claims := await queue.claim(consumer):
        done += len(await queue.finish(consumer, *claims))
    assert done == 19
    await consumer.leave()
    queue.raw.config_set("maxmemory", "0")
    await queue.submit()


async def test_a_replica_takes_no_work_and_gives_none(queue: Any, replica: Any) -> None:
    await queue.submit()
    connection = RedisConnection(replica.settings())
    producer = Producer(connection, queue.settings)
    consumer = Consumer(connection, queue.settings, pool="default", name="w")
    with pytest.raises(QueueUnavailable, match=r"READONLY|read ?only"):
        await connection.takes_work()
    for refused in (
        producer.submit(NewTask(task_id="x", bytes=1, duration_seconds=1)),
        consumer.prepare(),
        consumer.claim(room_seconds=10, room_tasks=10, in_flight=0),
        consumer.finish([Finish("x", "t", "r", 1.0)]),
    ):
        with pytest.raises(QueueUnavailable):
            await refused
    await connection.close()


# A failover.


async def test_a_promoted_replica_holds_what_was_replicated_and_condemns_nobody(
    queue: Any, proxy: FaultProxy, behind_proxy: Any, replica: Any
) -> None:
    connection = behind_proxy()
    producer = Producer(connection, queue.settings)
    consumer = Consumer(connection, queue.settings, pool="default", name="w")
    await consumer.prepare()
    ids = await queue.submit(4)
    held = await queue.claim(consumer, 2)
    await queue.trusted()
    await in_step(queue, replica)
    with replica.client() as raw:
        raw.replicaof("NO", "ONE")
    unreplicated = NewTask(
        task_id=str(uuid_utils.uuid7()), bytes=1, duration_seconds=1, idempotency_key="late"
    )
    await producer.submit(unreplicated)
    proxy.target_port = replica.port
    proxy.cut()
    await queue.outlive_leases()
    with pytest.raises(QueueUnavailable):
        await queue.claim(consumer)
    reap = await consumer.reap(room_seconds=1e6, room_tasks=100, in_flight=2)
    assert reap == []
    assert {c.token for c in await consumer.recover()} == {c.token for c in held}
    assert set(await queue.finish(consumer, *held)) == {Outcome.OK}
    # What was answered and not replicated is lost; its key brings it back, once.
    again = unreplicated.model_copy(update={"task_id": str(uuid_utils.uuid7())})
    assert [(await producer.submit(again)).created for _ in range(2)] == [True, False]
    rest = await queue.claim(consumer)
    assert {c.task.task_id for c in rest} == {*ids, again.task_id} - {c.task.task_id for c in held}
    assert {c.task.attempt for c in rest} == {1}
    assert set(await queue.finish(consumer, *rest)) == {Outcome.OK}
    assert (await producer.get(ids[0])).state is State.COMPLETED


async def in_step(queue: Any, replica: Any) -> None:
    """Waits until the replica has everything."""

    def offset(client: Any, name: str) -> int:
        return int(client.info("replication")[name])

    with replica.client() as raw:
        async with asyncio.timeout(20):
            while offset(raw, "slave_repl_offset") < offset(queue.raw, "master_repl_offset"):
                await asyncio.sleep(0.02)
