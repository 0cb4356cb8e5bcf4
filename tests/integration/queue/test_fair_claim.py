"""Who gets a worker next: lanes, tenants, neighbours."""

from collections import Counter
from typing import Any

import pytest

from asr_core.queue.consumer import KEPT_EACH
from asr_core.queue.workers import cordon
from asr_core.task import Lane

pytestmark = pytest.mark.asyncio


async def test_a_lone_file_behind_ten_thousand_of_another_tenant_is_the_seventeenth(
    queue: Any,
) -> None:
    await queue.submit(10_000, tenant="crowd")
    [lone] = await queue.submit(tenant="lone")
    consumer = await queue.consumer()
    order = [(await queue.claim(consumer, 1))[0].task.task_id for _ in range(20)]
    assert order.index(lone) == 16


async def test_tenants_share_evenly_however_much_one_has_waiting(queue: Any) -> None:
    await queue.submit(300, tenant="a")
    await queue.submit(60, tenant="b")
    consumer = await queue.consumer()
    tenants = Counter(c.task.tenant for c in await queue.claim(consumer, 120))
    assert tenants["b"] >= 48


async def test_held_tasks_of_one_tenant_come_in_order(queue: Any) -> None:
    ids = await queue.submit(50)
    consumer = await queue.consumer()
    assert [c.task.task_id for c in await queue.claim(consumer)] == ids


async def test_lower_lanes_keep_their_share_under_ten_thousand_of_a_higher_one(queue: Any) -> None:
    await queue.submit(10_000, lane=Lane.INTERACTIVE)
    await queue.submit(100, lane=Lane.NORMAL)
    await queue.submit(100, lane=Lane.BATCH)
    consumer = await queue.consumer()
    lanes = Counter(c.task.lane for c in await queue.claim(consumer, 200))
    assert lanes == {Lane.INTERACTIVE: 150, Lane.NORMAL: 40, Lane.BATCH: 10}


async def test_an_empty_lane_leaves_its_turn_to_the_others(queue: Any) -> None:
    await queue.submit(40, lane=Lane.BATCH)
    assert len(await queue.claim(await queue.consumer())) == 40


async def test_interactive_work_comes_first(queue: Any) -> None:
    await queue.submit(5, lane=Lane.BATCH)
    [urgent] = await queue.submit(lane=Lane.INTERACTIVE)
    assert (await queue.claim(await queue.consumer(), 1))[0].task.task_id == urgent


async def test_one_worker_leaves_their_part_to_idle_neighbours(queue: Any) -> None:
    workers = [await queue.consumer(f"worker-{i}") for i in range(4)]
    await queue.submit(40)
    assert len(await queue.claim(workers[0])) == 10
    assert len(await queue.claim(workers[1])) == 8


async def test_a_claim_stops_at_the_audio_seconds_there_is_room_for(queue: Any) -> None:
    await queue.submit(20, duration_seconds=30.0)
    claims = await queue.claim(await queue.consumer(), seconds=100)
    assert len(claims) == 4


async def test_a_file_longer_than_the_room_is_still_claimed_by_an_empty_worker(queue: Any) -> None:
    await queue.submit(2, duration_seconds=36_000.0)
    assert len(await queue.claim(await queue.consumer(), seconds=1000)) == 1


async def test_cancelled_tasks_are_never_claimed(queue: Any) -> None:
    ids = await queue.submit(40)
    for task_id in ids[::2]:
        await queue.producer.cancel(task_id)
    claims = await queue.claim(await queue.consumer())
    assert [c.task.task_id for c in claims] == ids[1::2]


async def test_a_cordoned_worker_gets_nothing_until_it_is_lifted(queue: Any) -> None:
    consumer = await queue.consumer()
    await queue.submit(3)
    assert await cordon(queue.connection, [consumer.name, "unknown"], cordoned=True) == 1
    assert await queue.claim(consumer) == []
    assert (await queue.reader.workers())[0].cordoned
    await cordon(queue.connection, [consumer.name], cordoned=False)
    assert len(await queue.claim(consumer)) == 3


async def test_every_claim_has_a_token_of_its_own(queue: Any) -> None:
    await queue.submit(30)
    consumer = await queue.consumer()
    claims = await queue.claim(consumer, 10) + await queue.claim(consumer, 20)
    assert len({c.token for c in claims}) == 30
    assert {c.task.attempt for c in claims} == {1}


async def test_garbage_in_the_stream_is_dropped_and_work_goes_on(queue: Any) -> None:
    queue.raw.xadd("asr_tasks", {"task_id": "nonsense"})
    await queue.submit(2)
    assert len(await queue.claim(await queue.consumer())) == 2
    assert queue.raw.xpending("asr_tasks", "asr_workers")["pending"] == 2


async def test_room_that_is_kept_goes_to_interactive_tasks_of_tenants_with_few_in_hand(
    queue: Any,
) -> None:
    crowd = await queue.submit(300, tenant="crowd", lane=Lane.INTERACTIVE)
    await queue.submit(tenant="lone", lane=Lane.NORMAL)
    lone = await queue.submit(6, tenant="lone", lane=Lane.INTERACTIVE)
    consumer = await queue.consumer()
    room = {"room_seconds": 60, "room_tasks": 16, "in_flight": 120}
    kept = await consumer.claim(**room, kept_for={"crowd": 120, "lone": 1})
    assert [claim.task.task_id for claim in kept] == lone[: KEPT_EACH - 1]
    assert await consumer.claim(**room, kept_for={"crowd": 120, "lone": KEPT_EACH}) == []
    # Those that were passed over come in their order, and none is lost.
    rest = [claim.task.task_id for claim in await queue.claim(consumer)]
    assert [task_id for task_id in rest if task_id in crowd] == crowd
    assert set(lone[KEPT_EACH - 1 :]) <= set(rest)


async def test_no_more_than_the_waiting_entries_are_passed_over(queue: Any) -> None:
    await queue.submit(300, tenant="crowd", lane=Lane.INTERACTIVE)
    consumer = await queue.consumer()
    room = {"room_seconds": 60, "room_tasks": 16, "in_flight": 120}
    for _ in range(3):
        assert await consumer.claim(**room, kept_for={"crowd": 4}) == []
    assert len(await queue.claim(consumer)) == 300
