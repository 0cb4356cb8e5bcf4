"""Submitting: what a 202 stands on."""

import asyncio
from typing import Any

import pytest
import uuid_utils

from asr_core.errors import IdempotencyConflict, QueueFull, TaskNotFound
from asr_core.task import Lane, NewTask, State

pytestmark = pytest.mark.asyncio


def keyed(fingerprint: str = "same") -> NewTask:
    return NewTask(
        task_id=str(uuid_utils.uuid7()), bytes=1, duration_seconds=1,
        idempotency_key="k", fingerprint=fingerprint,
    )  # fmt: skip


async def test_a_submitted_task_is_queued_and_its_entry_carries_only_the_id(queue: Any) -> None:
    made = await queue.submit_one(filename="a.wav", tenant="t1")
    task = await queue.producer.get(made.task_id)
    assert (task.state, task.filename, task.duration_seconds) == (State.QUEUED, "a.wav", 2.0)
    [(entry, fields)] = queue.raw.xrange("asr_tasks")
    assert fields == {"task_id": made.task_id}
    assert entry == task.entry


async def test_the_documented_names_hold_for_pools_and_lanes(queue: Any) -> None:
    await queue.submit_one(lane=Lane.BATCH)
    await queue.submit_one(pool="gpu-l4", lane=Lane.INTERACTIVE)
    assert queue.raw.xlen("asr_tasks:batch") == queue.raw.xlen("asr_tasks:gpu-l4:interactive") == 1
    assert queue.raw.xinfo_groups("asr_tasks")[0]["name"] == "asr_workers"


async def test_a_hundred_submits_at_once_with_one_key_make_one_task(queue: Any) -> None:
    made = await asyncio.gather(*(queue.producer.submit(keyed()) for _ in range(100)))
    assert len({m.task_id for m in made}) == 1
    assert sum(m.created for m in made) == 1
    assert queue.raw.xlen("asr_tasks") == 1


async def test_one_key_with_another_body_is_a_conflict(queue: Any) -> None:
    first = await queue.producer.submit(keyed("one"))
    with pytest.raises(IdempotencyConflict, match=first.task_id):
        await queue.producer.submit(keyed("another"))


async def test_a_key_lives_24_hours_and_is_found(queue: Any) -> None:
    made = await queue.producer.submit(keyed())
    assert await queue.producer.find_idempotent("default", "k") == (made.task_id, "same")
    assert 86_390 < queue.raw.ttl("asr:idempotency:default:k") <= 86_400


async def test_the_key_of_a_deleted_task_is_free_again(queue: Any) -> None:
    first = await queue.producer.submit(keyed())
    await queue.producer.delete(first.task_id)
    assert (await queue.producer.submit(keyed())).created


async def test_a_repeated_submit_of_one_id_is_a_replay(queue: Any) -> None:
    task = NewTask(task_id=str(uuid_utils.uuid7()), bytes=1, duration_seconds=1)
    assert [(await queue.producer.submit(task)).created for _ in range(3)] == [True, False, False]
    assert (await queue.backlog()).waiting == 1


async def test_a_full_queue_refuses_and_takes_again_once_there_is_room(
    redis_server: Any, queue_on: Any
) -> None:
    queue = await queue_on(redis_server.settings(), queue_cap=3)
    ids = await queue.submit(3)
    with pytest.raises(QueueFull) as refused:
        await queue.submit()
    assert refused.value.retry_after_seconds
    await queue.producer.cancel(ids[0])
    await queue.submit()


async def test_positions_count_from_one_and_move_up(queue: Any) -> None:
    made = [await queue.submit_one() for _ in range(3)]
    assert [m.position for m in made] == [1, 2, 3]
    await queue.claim(await queue.consumer(), 1)
    assert await queue.producer.position(await queue.producer.get(made[2].task_id)) == 2
    assert await queue.producer.position(await queue.producer.get(made[0].task_id)) is None


async def test_another_tenants_task_is_not_found(queue: Any) -> None:
    [task_id] = await queue.submit(tenant="a")
    with pytest.raises(TaskNotFound):
        await queue.producer.get(task_id, "b")
    for act in (queue.producer.cancel, queue.producer.retry, queue.producer.delete):
        with pytest.raises(TaskNotFound):
            await act(task_id, "b")


async def test_history_is_newest_first_paged_and_filtered_by_state(queue: Any) -> None:
    ids = await queue.submit(7)
    await queue.producer.cancel(ids[3])
    seen: list[str] = []
    cursor = ""
    while True:
        page = await queue.producer.history(tenant="default", cursor=cursor, limit=3)
        seen += [task.task_id for task in page.tasks]
        if not (cursor := page.next_cursor):
            break
    assert seen == sorted(ids, reverse=True)
    cancelled = await queue.producer.history(tenant="default", state=State.CANCELLED)
    assert [task.task_id for task in cancelled.tasks] == [ids[3]]
    assert (await queue.producer.history(tenant="other")).tasks == []


async def test_a_prefix_puts_every_key_into_one_hash_slot(redis_server: Any, queue_on: Any) -> None:
    queue = await queue_on(redis_server.settings(ASR_KEY_PREFIX="prod"))
    await queue.submit(20)
    await queue.claim(await queue.consumer())
    names = queue.raw.keys()
    assert len(names) > 8
    assert all(name.startswith("{prod}:") for name in names)


async def test_five_hundred_callers_at_once_wait_for_a_connection_and_are_all_served(
    queue: Any,
) -> None:
    made = await asyncio.gather(*(queue.submit_one() for _ in range(500)))
    assert len({m.task_id for m in made}) == 500
