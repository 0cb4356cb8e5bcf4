"""Leases, fencing, reaping: one visible result whoever else thinks that he has the task."""

import asyncio
import time
from typing import Any

import pytest

from asr_core.queue import Claim, LeaseKeeper, Outcome
from asr_core.task import State

pytestmark = pytest.mark.asyncio


def keeper_of(
    queue: Any, consumer: Any, lost: list[tuple[str, Outcome]], deadline: float = 60
) -> LeaseKeeper:
    return LeaseKeeper(
        queue.redis_settings, queue.settings, consumer=consumer.name,
        progress_deadline_seconds=deadline,
        on_lost=lambda task_id, _token, outcome: lost.append((task_id, outcome)),
    )  # fmt: skip


async def claimed(queue: Any) -> tuple[Any, Claim]:
    consumer = await queue.consumer()
    await queue.submit()
    return consumer, (await queue.claim(consumer))[0]


async def test_a_renewed_task_is_not_reaped(queue: Any) -> None:
    consumer, claim = await claimed(queue)
    lost: list[tuple[str, Outcome]] = []
    keeper = keeper_of(queue, consumer, lost)
    keeper.hold(claim.task.task_id, claim.token)
    keeper.start()
    other = await queue.consumer("worker-2")
    assert await queue.crash(other) == []
    assert await queue.crash(other) == []
    keeper.stop()
    assert lost == []
    assert await queue.finish(consumer, claim) == [Outcome.OK]


async def test_the_task_of_a_dead_worker_is_taken_over_and_its_late_finish_is_fenced(
    queue: Any,
) -> None:
    consumer, claim = await claimed(queue)
    other = await queue.consumer("worker-2")
    [second] = await queue.crash(other)
    assert (second.task.task_id, second.task.attempt, second.task.crashes) == (
        claim.task.task_id,
        2,
        1,
    )
    assert await queue.finish(other, second) == [Outcome.OK]
    assert await queue.finish(consumer, claim) == [Outcome.FENCED]
    task = await queue.producer.get(claim.task.task_id)
    assert task.result.endswith("/2.json")


async def test_a_stale_worker_cannot_renew_itself_back_into_a_task(queue: Any) -> None:
    consumer, claim = await claimed(queue)
    other = await queue.consumer("worker-2")
    [second] = await queue.crash(other)
    lost: list[tuple[str, Outcome]] = []
    keeper = keeper_of(queue, consumer, lost)
    keeper.hold(claim.task.task_id, claim.token)
    assert keeper.renew_once()
    assert lost == [(claim.task.task_id, Outcome.FENCED)]
    [pending] = queue.raw.xpending_range("asr_tasks", "asr_workers", "-", "+", 10)
    assert pending["consumer"] == "worker-2"
    assert await queue.finish(other, second) == [Outcome.OK]


async def test_good_work_of_a_worker_that_nobody_has_replaced_yet_counts(queue: Any) -> None:
    consumer, claim = await claimed(queue)
    await queue.trusted()
    await queue.outlive_leases()
    assert await queue.finish(consumer, claim) == [Outcome.OK]
    assert await queue.reap(await queue.consumer("worker-2")) == []


async def test_renewals_say_that_a_task_was_cancelled_or_deleted(queue: Any) -> None:
    consumer = await queue.consumer()
    await queue.submit(2)
    first, second = await queue.claim(consumer)
    lost: list[tuple[str, Outcome]] = []
    keeper = keeper_of(queue, consumer, lost)
    for claim in (first, second):
        keeper.hold(claim.task.task_id, claim.token)
    await queue.producer.cancel(first.task.task_id)
    await queue.producer.delete(second.task.task_id)
    keeper.renew_once()
    assert sorted(lost) == sorted(
        [(first.task.task_id, Outcome.CANCELLED), (second.task.task_id, Outcome.GONE)]
    )
    assert await queue.finish(consumer, first, second) == [Outcome.CANCELLED, Outcome.GONE]


async def test_a_task_without_progress_is_no_longer_renewed(queue: Any) -> None:
    consumer, claim = await claimed(queue)
    keeper = keeper_of(queue, consumer, [], deadline=0.05)
    held_at = time.monotonic()
    keeper.hold(claim.task.task_id, claim.token)
    while time.monotonic() - held_at <= 0.05:
        await asyncio.sleep(0.01)
    assert [c.task.task_id for c in await queue.crash(await queue.consumer("worker-2"))] == [
        claim.task.task_id
    ]
    assert keeper.renew_once()


async def test_progress_travels_with_the_renewal(queue: Any) -> None:
    consumer, claim = await claimed(queue)
    keeper = keeper_of(queue, consumer, [])
    keeper.hold(claim.task.task_id, claim.token)
    keeper.progress(claim.task.task_id, claim.token, 0.25)
    keeper.renew_once()
    assert (await queue.producer.get(claim.task.task_id)).progress == 0.25


async def test_the_keeper_tells_when_redis_last_answered(private_redis: Any, queue_on: Any) -> None:
    server = private_redis()
    queue = await queue_on(server.settings())
    consumer, claim = await claimed(queue)
    keeper = keeper_of(queue, consumer, [])
    keeper.hold(claim.task.task_id, claim.token)
    assert keeper.renew_once()
    alive_at = keeper.alive_at()
    server.kill()
    assert not keeper.renew_once()
    assert keeper.alive_at() == alive_at < time.monotonic()


async def test_nothing_is_reaped_within_one_lease_of_a_redis_restart(
    private_redis: Any, queue_on: Any
) -> None:
    server = private_redis("--appendfsync", "always")
    queue = await queue_on(server.settings())
    _, claim = await claimed(queue)
    await queue.trusted()
    end = queue.leases_end()
    server.kill()
    await queue.outlive_leases(end)
    server.start()
    queue = await queue_on(server.settings())
    other = await queue.consumer("worker-2")
    assert await queue.reap(other) == []
    assert not (await queue.backlog()).trusted
    assert [c.task.task_id for c in await queue.crash(other)] == [claim.task.task_id]


async def test_reaping_goes_through_thousands_of_orphans(queue: Any) -> None:
    await queue.submit(2500)
    assert len(await queue.claim(await queue.consumer(), 5000)) == 2500
    other = await queue.consumer("worker-2")
    taken = [claim for _ in range(3) for claim in await queue.crash(other)]
    assert len({claim.task.task_id for claim in taken}) == 2500


async def test_released_tasks_are_taken_at_once_and_the_attempt_is_refunded(queue: Any) -> None:
    consumer, claim = await claimed(queue)
    assert await consumer.release([(claim.task.task_id, claim.token)]) == [Outcome.OK]
    task = await queue.producer.get(claim.task.task_id)
    assert (task.state, task.attempt, task.token) == (State.QUEUED, 0, "")
    assert (await queue.backlog()).waiting == 1
    [again] = await queue.reap(await queue.consumer("worker-2"))
    assert (again.task.attempt, again.task.crashes) == (1, 0)
    assert await queue.finish(consumer, claim) == [Outcome.FENCED]


async def test_finishing_twice_is_the_same_as_once(queue: Any) -> None:
    consumer, claim = await claimed(queue)
    assert await queue.finish(consumer, claim) == [Outcome.OK]
    assert await queue.finish(consumer, claim) == [Outcome.OK]
    assert (await queue.reader.totals()).completed == 1
    assert queue.raw.xlen("asr_tasks") == 0


async def test_a_finish_does_not_need_the_group(queue: Any) -> None:
    consumer, claim = await claimed(queue)
    queue.raw.xgroup_destroy("asr_tasks", "asr_workers")
    assert await queue.finish(consumer, claim) == [Outcome.OK]
    assert queue.raw.xlen("asr_tasks") == 0
