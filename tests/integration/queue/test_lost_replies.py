"""A connection breaks with the reply on its way, or while it waits for one."""

import asyncio
from typing import Any

import pytest
import uuid_utils

from asr_core.errors import QueueUnavailable
from asr_core.queue import Consumer, LeaseKeeper, Outcome, Producer
from asr_core.queue.scripts import script_text
from asr_core.task import NewTask
from chaos.proxy import FaultProxy

pytestmark = pytest.mark.asyncio


async def test_a_submit_whose_reply_was_lost_is_one_task(
    queue: Any, proxy: FaultProxy, behind_proxy: Any
) -> None:
    producer = Producer(behind_proxy(), queue.settings)
    task = NewTask(
        task_id=str(uuid_utils.uuid7()), bytes=1, duration_seconds=1,
        idempotency_key="k", fingerprint="f",
    )  # fmt: skip
    # Else the first reply is NOSCRIPT, where no other test has submitted anything.
    queue.raw.script_load(script_text("submit", queue.connection.keys))
    lost = proxy.stop_reply(task.task_id.encode())
    submitting = asyncio.create_task(producer.submit(task))
    await asyncio.wait_for(lost.caught.wait(), 10)
    lost.cut()
    with pytest.raises(QueueUnavailable):
        await submitting
    assert (await queue.backlog()).waiting == 1
    again = await producer.submit(task)
    resent = await producer.submit(task.model_copy(update={"task_id": str(uuid_utils.uuid7())}))
    assert [(s.task_id, s.created) for s in (again, resent)] == [(task.task_id, False)] * 2
    assert (await queue.backlog()).waiting == 1


async def test_the_apis_connection_repeats_a_submit_by_itself(
    queue: Any, proxy: FaultProxy, behind_proxy: Any
) -> None:
    producer = Producer(behind_proxy(retries=2), queue.settings)
    task = NewTask(task_id=str(uuid_utils.uuid7()), bytes=1, duration_seconds=1)
    lost = proxy.stop_reply(task.task_id.encode())
    submitting = asyncio.create_task(producer.submit(task))
    await asyncio.wait_for(lost.caught.wait(), 10)
    lost.cut()
    assert (await submitting).task_id == task.task_id
    assert (await queue.backlog()).waiting == 1
    assert (await queue.reader.totals()).submitted == 1


async def test_a_finish_whose_reply_was_lost_can_be_repeated(
    queue: Any, proxy: FaultProxy, behind_proxy: Any
) -> None:
    consumer = Consumer(behind_proxy(), queue.settings, pool="default", name="w")
    await consumer.prepare()
    await queue.submit(2)
    claims = await queue.claim(consumer)
    lost = proxy.stop_reply(claims[0].token.encode())
    finishing = asyncio.create_task(queue.finish(consumer, *claims))
    await asyncio.wait_for(lost.caught.wait(), 10)
    lost.cut()
    with pytest.raises(QueueUnavailable):
        await finishing
    assert await queue.finish(consumer, *claims) == [Outcome.OK, Outcome.OK]
    totals = await queue.reader.totals()
    assert (totals.completed, queue.raw.xlen("asr_tasks")) == (2, 0)


async def test_what_a_lost_claim_began_is_found_in_the_own_pending_list(
    queue: Any, proxy: FaultProxy, behind_proxy: Any
) -> None:
    consumer = Consumer(behind_proxy(), queue.settings, pool="default", name="w")
    await consumer.prepare()
    ids = await queue.submit(3)
    lost = proxy.stop_reply(b'"room_tasks"')
    claiming = asyncio.create_task(queue.claim(consumer))
    await asyncio.wait_for(lost.caught.wait(), 10)
    lost.cut()
    with pytest.raises(QueueUnavailable):
        await claiming
    assert await queue.claim(await queue.consumer("worker-2")) == []
    recovered = await consumer.recover()
    assert sorted(c.task.task_id for c in recovered) == sorted(ids)
    assert {c.task.attempt for c in recovered} == {1}
    assert set(await queue.finish(consumer, *recovered)) == {Outcome.OK}


async def test_a_renewal_whose_reply_was_lost_is_only_a_renewal(
    queue: Any, proxy: FaultProxy, behind_proxy: Any
) -> None:
    behind = behind_proxy()
    consumer = Consumer(behind, queue.settings, pool="default", name="w")
    await consumer.prepare()
    await queue.submit()
    [claim] = await queue.claim(consumer)
    settings = queue.redis_settings.model_copy(update={"port": proxy.port})
    keeper = LeaseKeeper(
        settings, queue.settings, consumer="w", progress_deadline_seconds=60,
        on_lost=lambda *_: None,
    )  # fmt: skip
    keeper.hold(claim.task.task_id, claim.token)
    lost = proxy.stop_reply(claim.token.encode())
    renewing = asyncio.create_task(asyncio.to_thread(keeper.renew_once))
    await asyncio.wait_for(lost.caught.wait(), 10)
    lost.cut()
    assert not await renewing
    assert await asyncio.to_thread(keeper.renew_once)
    assert await queue.finish(consumer, claim) == [Outcome.OK]


async def test_a_waiting_worker_hears_again_after_its_connection_broke(
    queue: Any, proxy: FaultProxy, behind_proxy: Any
) -> None:
    consumer = Consumer(behind_proxy(), queue.settings, pool="default", name="w")
    async with consumer.wake() as woken:
        await asyncio.wait_for(woken.wait(), 10)
        woken.clear()
        proxy.cut()
        # Subscribed anew it looks at once: what came meanwhile was told to nobody.
        await asyncio.wait_for(woken.wait(), 10)
        woken.clear()
        await queue.submit()
        await asyncio.wait_for(woken.wait(), 10)


async def test_a_subscription_behind_a_broken_switch_is_noticed(
    queue: Any, proxy: FaultProxy, behind_proxy: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("asr_core.queue.subscription.PING_SECONDS", 0.1)
    consumer = Consumer(behind_proxy(timeout_seconds=1), queue.settings, pool="default", name="w")
    async with consumer.wake() as woken:
        await asyncio.wait_for(woken.wait(), 10)
        proxy.swallowing = True
        while not proxy.swallowed_bytes:  # a ping of the subscription
            await asyncio.sleep(0.02)
        woken.clear()
        proxy.swallowing = False
        await asyncio.wait_for(woken.wait(), 10)
