"""What is left of the queue after FLUSHALL, XGROUP DESTROY or DEL, and what is told of it."""

import asyncio
from typing import Any

import pytest

from asr_core.queue import LeaseKeeper, Outcome
from asr_core.task import State

pytestmark = pytest.mark.asyncio


async def test_after_flushall_reconcile_brings_back_what_the_platform_stands_on(
    queue: Any,
) -> None:
    queue.raw.flushall()
    assert not (await queue.upkeep.reconcile()).repaired
    assert queue.raw.get("asr:schema") == "1"
    assert queue.raw.smembers("asr:pools") == {"default"}
    assert (await queue.backlog()).signal == "ok"


async def test_a_command_that_reconciles_leaves_the_pools_of_the_api_alone(queue: Any) -> None:
    queue.raw.sadd("asr:pools", "large")
    await queue.upkeep.reconcile(force=True)
    assert queue.raw.smembers("asr:pools") == {"default", "large"}


async def test_tasks_held_during_a_flushall_are_gone_and_leave_no_trace(queue: Any) -> None:
    consumer = await queue.consumer()
    await queue.submit(2)
    held, other = await queue.claim(consumer)
    lost: list[Outcome] = []
    keeper = LeaseKeeper(
        queue.redis_settings, queue.settings, consumer=consumer.name,
        progress_deadline_seconds=60, on_lost=lambda _id, _token, outcome: lost.append(outcome),
    )  # fmt: skip
    keeper.hold(held.task.task_id, held.token)
    queue.raw.flushall()
    assert keeper.renew_once()
    assert lost == [Outcome.GONE]
    assert await queue.finish(consumer, held, other) == [Outcome.GONE, Outcome.GONE]
    assert await consumer.release([(held.task.task_id, held.token)]) == [Outcome.GONE]
    assert await consumer.recover() == []
    assert not queue.raw.keys("asr:task:*")
    assert not queue.raw.keys("asr:leases:*")


async def test_work_goes_on_after_a_flushall_without_any_restart(queue: Any) -> None:
    consumer = await queue.consumer()
    await queue.submit(3)
    queue.raw.flushall()
    assert await queue.claim(consumer) == []
    ids = await queue.submit(2)
    claims = await queue.claim(consumer)
    assert {claim.task.task_id for claim in claims} == set(ids)
    assert await queue.finish(consumer, *claims) == [Outcome.OK, Outcome.OK]
    assert not (await queue.upkeep.reconcile(force=True)).repaired


async def test_a_destroyed_group_is_told_whoever_made_it_again(queue: Any) -> None:
    consumer = await queue.consumer()
    await queue.submit(3)
    for make_it_again in (consumer.prepare, lambda: queue.claim(consumer, 1), queue.submit):
        queue.raw.xgroup_destroy("asr_tasks", "asr_workers")
        await make_it_again()
    queue.raw.xgroup_destroy("asr_tasks", "asr_workers")
    reconciled = await queue.upkeep.reconcile()
    assert reconciled.repaired == {"groups": 4}
    assert not (await queue.upkeep.reconcile(force=True)).repaired


async def test_groups_of_a_new_redis_are_no_loss(queue: Any) -> None:
    await queue.consumer()
    await queue.submit()
    assert not (await queue.upkeep.reconcile()).repaired


async def test_a_task_that_waits_to_run_alone_survives_its_group(queue: Any) -> None:
    """Its entry is pending for nobody; no worker may die of the group's absence."""
    [task_id] = await queue.submit()
    await queue.claim(await queue.consumer())
    await queue.crash(await queue.consumer("worker-2"))
    await queue.crash(await queue.consumer("worker-3"))
    assert queue.raw.zcard("asr:solo:default") == 1
    queue.raw.xgroup_destroy("asr_tasks", "asr_workers")
    worker = await queue.consumer("worker-4")
    queue.raw.xgroup_destroy("asr_tasks", "asr_workers")
    claims = await queue.claim(worker) + await queue.claim(worker)
    assert [(claim.task.task_id, claim.solo) for claim in claims] == [(task_id, True)]


async def test_every_place_a_task_can_stand_survives_the_loss_of_the_streams(queue: Any) -> None:
    consumer = await queue.consumer()
    ids = await queue.submit(20)
    held = await queue.claim(consumer, 2)
    await consumer.release([(held[1].task.task_id, held[1].token)])
    queue.raw.delete("asr_tasks")
    assert (await queue.upkeep.reconcile()).readded
    assert await queue.finish(consumer, held[0]) == [Outcome.OK]
    done = [held[0].task.task_id]
    while claims := await queue.claim(consumer) + await queue.reap(consumer):
        done += [claim.task.task_id for claim in claims]
        assert set(await queue.finish(consumer, *claims)) == {Outcome.OK}
    assert sorted(done) == sorted(ids)
    states = await asyncio.gather(*(queue.producer.get(task_id) for task_id in ids))
    assert {task.state for task in states} == {State.COMPLETED}
    assert (await queue.upkeep.reconcile(force=True)).readded == 0


async def test_an_entry_is_never_taken_for_its_namesake_in_a_new_stream(queue: Any) -> None:
    """Entries are named by the millisecond: added again within one, they may be named alike."""
    one, other = await queue.submit(2)
    entry = queue.raw.hget(f"asr:task:{one}", "entry")
    queue.raw.delete("asr_tasks")
    queue.raw.xadd("asr_tasks", {"task_id": other}, id=entry)
    queue.raw.hset(f"asr:task:{other}", "entry", entry)
    assert (await queue.upkeep.reconcile()).readded == 1
    claims = await queue.claim(await queue.consumer())
    assert sorted(claim.task.task_id for claim in claims) == sorted([one, other])
