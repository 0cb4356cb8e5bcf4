"""Transient and permanent failures, crashes, dead letters."""

import asyncio
from typing import Any

import pytest
import uuid_utils

from asr_core.errors import StateConflict
from asr_core.queue import Failure, Outcome
from asr_core.task import NewTask, State

pytestmark = pytest.mark.asyncio


async def fail(consumer: Any, *claims: Any, permanent: bool = False) -> list[Outcome]:
    return await consumer.fail(
        [Failure(c.task.task_id, c.token, "engine_failed", "it broke", permanent) for c in claims]
    )


async def due(queue: Any) -> None:
    while not (await queue.backlog()).delayed_due:
        await asyncio.sleep(0.01)


async def run_out_of_attempts(queue: Any, consumer: Any) -> None:
    while True:
        [claim] = await queue.claim(consumer)
        await fail(consumer, claim)
        if (await queue.producer.get(claim.task.task_id)).state.terminal:
            return
        await due(queue)


async def test_a_permanent_error_fails_at_once(queue: Any) -> None:
    consumer = await queue.consumer()
    [task_id] = await queue.submit()
    [claim] = await queue.claim(consumer)
    assert await fail(consumer, claim, permanent=True) == [Outcome.OK]
    task = await queue.producer.get(task_id)
    assert task.state is State.FAILED
    assert task.error
    assert task.error.code == "engine_failed"
    assert (await queue.producer.dead_letters()).letters == []


async def test_a_transient_error_waits_counts_as_backlog_and_runs_again(queue: Any) -> None:
    consumer = await queue.consumer()
    await queue.submit()
    await fail(consumer, *await queue.claim(consumer))
    assert await queue.claim(consumer) == []
    backlog = await queue.backlog()
    assert (backlog.delayed, backlog.in_flight) == (1, 0)
    await due(queue)
    assert (await queue.backlog()).waiting == 1
    [again] = await queue.claim(consumer)
    assert again.task.attempt == 2
    assert await queue.finish(consumer, again) == [Outcome.OK]


async def test_due_retries_are_moved_without_any_worker(queue: Any) -> None:
    consumer = await queue.consumer()
    await queue.submit()
    await fail(consumer, *await queue.claim(consumer))
    await due(queue)
    assert await queue.upkeep.move_due() == 1
    assert queue.raw.xlen("asr_tasks") == 1


async def test_after_five_transient_failures_the_task_is_a_dead_letter_and_can_be_put_back(
    queue: Any,
) -> None:
    consumer = await queue.consumer()
    [task_id] = await queue.submit()
    await run_out_of_attempts(queue, consumer)
    [letter] = (await queue.producer.dead_letters()).letters
    assert (letter.task.task_id, letter.reason, letter.task.attempt) == (
        task_id,
        "engine_failed",
        6,
    )
    assert (await queue.backlog()).dead == 1
    await queue.producer.redrive(task_id)
    assert (await queue.producer.dead_letters()).letters == []
    [claim] = await queue.claim(consumer)
    assert claim.task.transient_failures == 0
    assert await queue.finish(consumer, claim) == [Outcome.OK]


async def test_only_dead_letters_can_be_put_back(queue: Any) -> None:
    [task_id] = await queue.submit()
    with pytest.raises(StateConflict):
        await queue.producer.redrive(task_id)


async def test_crashed_tasks_run_alone_and_only_three_lonely_crashes_condemn(queue: Any) -> None:
    await queue.submit(4)
    assert len(await queue.claim(await queue.consumer())) == 4
    second = await queue.consumer("worker-2")
    assert [c.solo for c in await queue.crash(second)] == [False] * 4
    third = await queue.consumer("worker-3")
    assert await queue.crash(third) == []
    [alone] = await queue.claim(third)
    assert alone.solo
    # Batch-mates survive: each runs alone and completes.
    assert await queue.finish(third, alone) == [Outcome.OK]
    for _ in range(2):
        [alone] = await queue.claim(third)
        assert await queue.finish(third, alone) == [Outcome.OK]
    # The poison kills three workers more.
    for number in range(4, 7):
        worker = await queue.consumer(f"worker-{number}")
        [alone] = await queue.claim(worker)
        assert alone.solo
        assert await queue.crash(await queue.consumer("reaper")) == []
    [letter] = (await queue.producer.dead_letters()).letters
    assert letter.reason == "worker_crashed"
    assert letter.task.solo_crashes == 3
    assert (await queue.reader.totals()).completed == 3


async def test_a_busy_worker_empties_itself_for_a_task_that_must_run_alone(queue: Any) -> None:
    await queue.submit()
    await queue.claim(await queue.consumer())
    await queue.crash(await queue.consumer("worker-2"))
    busy = await queue.consumer("busy")
    await queue.crash(busy)
    await queue.submit(5)
    other = await queue.consumer("other")
    assert await queue.claim(busy, in_flight=3) == []
    assert len(await queue.claim(other, 2, in_flight=1)) == 2
    [alone] = await queue.claim(busy, in_flight=0)
    assert alone.solo


async def test_cancel_and_retry(queue: Any) -> None:
    [task_id] = await queue.submit()
    assert (await queue.producer.cancel(task_id)).state is State.CANCELLED
    assert (await queue.producer.cancel(task_id)).state is State.CANCELLED
    assert (await queue.backlog()).waiting == 0
    assert (await queue.producer.retry(task_id)).state is State.QUEUED
    with pytest.raises(StateConflict, match="queued"):
        await queue.producer.retry(task_id)
    consumer = await queue.consumer()
    await queue.finish(consumer, *await queue.claim(consumer))
    with pytest.raises(StateConflict, match="completed"):
        await queue.producer.cancel(task_id)


async def test_deleting_at_any_moment_leaves_no_key_of_the_task(queue: Any) -> None:
    consumer = await queue.consumer()
    ids = await queue.submit(40)
    claims = await queue.claim(consumer, 3)
    await queue.finish(consumer, claims[0])
    await fail(consumer, claims[1])
    for task_id in ids:
        await queue.producer.delete(task_id)
    assert await queue.finish(consumer, claims[2]) == [Outcome.GONE]
    backlog = await queue.backlog()
    assert (backlog.waiting, backlog.in_flight, backlog.delayed, backlog.audio_seconds) == (
        0,
        0,
        0,
        0,
    )
    left = [k for k in queue.raw.scan_iter() if any(task_id in k for task_id in ids)]
    assert sorted(left) == sorted(f"asr:deleted:{task_id}" for task_id in ids)
    assert all(0 < queue.raw.ttl(key) <= 3600 for key in left)
    assert (await queue.producer.history(tenant="default")).tasks == []
    assert not (await queue.upkeep.reconcile(force=True)).repaired


async def test_a_submit_that_arrives_after_the_task_was_deleted_does_not_bring_it_back(
    queue: Any,
) -> None:
    def task_of_order() -> NewTask:
        return NewTask(
            task_id=str(uuid_utils.uuid7()),
            bytes=3,
            duration_seconds=2.0,
            idempotency_key="order-17",
        )

    task = task_of_order()
    await queue.producer.submit(task)
    await queue.producer.delete(task.task_id)
    with pytest.raises(StateConflict, match="deleted"):
        await queue.producer.submit(task)
    assert (await queue.backlog()).waiting == 0
    assert (await queue.producer.submit(task_of_order())).created


async def test_every_terminal_transition_writes_the_webhook_outbox(queue: Any) -> None:
    consumer = await queue.consumer()
    ids = await queue.submit(4, webhook="https://example.com/hook")
    await queue.producer.cancel(ids[3])
    claims = await queue.claim(consumer)
    await queue.finish(consumer, claims[0])
    await fail(consumer, claims[1], permanent=True)
    await queue.producer.delete(ids[2])
    states = {f["task_id"]: f["state"] for _, f in queue.raw.xrange("asr:outbox")}
    assert states == {
        ids[0]: "completed",
        ids[1]: "failed",
        ids[2]: "cancelled",
        ids[3]: "cancelled",
    }
