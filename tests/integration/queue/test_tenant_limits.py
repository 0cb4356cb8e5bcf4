"""What a tenant may have open, stored and asked for, and what it used: on a real Redis."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from asr_core.access import TenantLimits
from asr_core.errors import QuotaExceeded, TooManyOpenTasks
from asr_core.queue import Failure, Finish, Outcome, Producer, Tenants
from asr_core.queue.tenants import default_limits, today
from asr_core.settings.queue import TenantSettings

pytestmark = pytest.mark.asyncio


def tenants_of(queue: Any, **settings: Any) -> Tenants:
    return Tenants(queue.connection, TenantSettings(_env_file=None, **settings))  # type: ignore[call-arg]


def limited_to(open_tasks: int) -> Mapping[str, int]:
    return default_limits(TenantSettings(_env_file=None, tenant_open_tasks=open_tasks))  # type: ignore[call-arg]


def stored(queue: Any, tenant: str = "default") -> int:
    return int(queue.raw.hget("asr:tenant_stored", tenant) or 0)


async def test_a_tenant_has_no_more_open_tasks_than_it_may_and_another_is_not_held_up(
    queue: Any,
) -> None:
    await tenants_of(queue).set_limits("acme", TenantLimits(open_tasks=3))
    first, *_ = await queue.submit(3, tenant="acme")
    with pytest.raises(TooManyOpenTasks) as refused:
        await queue.submit_one(tenant="acme")
    assert refused.value.retry_after_seconds
    await queue.submit(5, tenant="other")
    await queue.producer.cancel(first)
    await queue.submit_one(tenant="acme")
    with pytest.raises(TooManyOpenTasks):
        await queue.producer.retry(first)


async def test_a_hundred_submits_at_once_do_not_pass_the_limit_together(queue: Any) -> None:
    queue.producer = Producer(queue.connection, queue.settings, limited_to(7))
    replies = await asyncio.gather(
        *(queue.submit_one() for _ in range(100)), return_exceptions=True
    )
    assert sum(isinstance(reply, TooManyOpenTasks) for reply in replies) == 93


async def test_an_idempotent_replay_is_answered_also_at_the_limit(queue: Any) -> None:
    await tenants_of(queue).set_limits("default", TenantLimits(open_tasks=1))
    first = await queue.submit_one(idempotency_key="k", fingerprint="f")
    again = await queue.submit_one(idempotency_key="k", fingerprint="f")
    assert again.task_id == first.task_id


async def test_an_own_limit_of_zero_lifts_that_of_the_settings(queue: Any) -> None:
    queue.producer = Producer(queue.connection, queue.settings, limited_to(1))
    await tenants_of(queue).set_limits("acme", TenantLimits(open_tasks=0))
    await queue.submit(4, tenant="acme")
    await tenants_of(queue).clear_limits("acme")
    with pytest.raises(TooManyOpenTasks):
        await queue.submit_one(tenant="acme")


async def test_stored_bytes_follow_submit_delete_and_retention_and_refuse_at_the_quota(
    queue: Any,
) -> None:
    await tenants_of(queue).set_limits("default", TenantLimits(stored_bytes=100))
    first, second = await queue.submit(2, bytes=50)
    assert stored(queue) == 100
    with pytest.raises(QuotaExceeded):
        await queue.submit_one(bytes=1)
    with pytest.raises(QuotaExceeded):
        await queue.producer.require_room("default")
    await queue.producer.delete(first)
    assert stored(queue) == 50
    await queue.producer.require_room("default")
    await queue.producer.cancel(second)
    finished_at = queue.raw.hget(f"asr:task:{second}", "finished_at")
    seen = {"task_id": second, "finished_at": finished_at}
    for _ in range(2):
        assert await queue.connection.call("discard", tasks=[seen]) == [1]
        assert stored(queue) == 0
    await queue.producer.delete(second)
    assert stored(queue) == 0


async def test_a_counter_of_bytes_that_drifted_is_healed_by_reconcile(queue: Any) -> None:
    await queue.submit(3, bytes=50, tenant="acme")
    queue.raw.hset("asr:tenant_stored", mapping={"acme": 7, "gone": 9})
    assert (await queue.upkeep.reconcile(force=True)).quotas_recounted == 2
    assert (stored(queue, "acme"), stored(queue, "gone")) == (150, 0)
    assert (await queue.upkeep.reconcile(force=True)).quotas_recounted == 0


async def test_a_recount_is_exact_while_tasks_come_and_go(queue: Any) -> None:
    ids = await queue.submit(9, bytes=10)
    queue.raw.hset("asr:tenant_stored", "default", 12345)

    async def recount() -> list[int]:
        reply: list[int] = await queue.connection.call("recount_stored", tenant="default", count=5)
        return reply

    assert await recount() == [0, 0]
    await queue.producer.delete(ids[0])  # behind the cursor
    await queue.producer.delete(ids[8])  # before it
    await queue.submit_one(bytes=1000)
    assert await recount() == [1, 1]
    assert stored(queue) == 7 * 10 + 1000


async def test_requests_come_out_of_one_bucket_for_all_pods_and_it_fills_again(queue: Any) -> None:
    pods = [
        Tenants(queue.connect(), TenantSettings(_env_file=None, tenant_rate_per_minute=600))
        for _ in range(3)
    ]
    tickets = [await pods[i % 3].take_request("acme") for i in range(600)]
    assert all(ticket.taken for ticket in tickets)
    assert tickets[0].limit == 600
    assert tickets[0].remaining == 599
    refused = await pods[0].take_request("acme")
    while refused.taken:  # the bucket fills while it is emptied: ten a second
        refused = await pods[0].take_request("acme")
    assert 0 < refused.next_after_seconds <= 0.1
    assert (await pods[1].take_request("other")).taken
    async with asyncio.timeout(5):
        while not (await pods[2].take_request("acme")).taken:
            await asyncio.sleep(0.01)


async def test_usage_counts_completed_audio_once_per_tenant_and_day(queue: Any) -> None:
    consumer = await queue.consumer()
    await queue.submit(2, tenant="acme", duration_seconds=60.5)
    await queue.submit(1, tenant="other", duration_seconds=5.0)
    claims = await queue.claim(consumer)
    await queue.finish(consumer, *claims)
    await queue.finish(consumer, *claims)
    await queue.submit(1, tenant="acme", duration_seconds=1000.0)
    [broken] = await queue.claim(consumer)
    await consumer.fail([Failure(broken.task.task_id, broken.token, "unreadable", "x", True)])
    tenants = tenants_of(queue)
    used = await tenants.usage(today() - timedelta(days=399), today())
    assert [(u.tenant, u.tasks, u.audio_seconds) for u in used] == [
        ("acme", 2, 121.0), ("other", 1, 5.0),
    ]  # fmt: skip
    [own] = await tenants.usage(today(), today(), "other")
    assert own.audio_seconds == 5.0
    [key] = queue.raw.keys("asr:usage:*")
    assert 399 * 86400 < queue.raw.ttl(key) <= 400 * 86400


async def test_usage_counts_the_speech_that_workers_tell(queue: Any) -> None:
    """Those of a release before tell none."""
    consumer = await queue.consumer()
    await queue.submit(3, tenant="acme", duration_seconds=60.0)
    claims = await queue.claim(consumer)
    told = [
        Finish(c.task.task_id, c.token, "r", 1.0, 60.0, s)
        for c, s in zip(claims, (12.5, 0.0, None), strict=True)
    ]
    for _ in range(2):
        await consumer.finish(told)
    day = today()
    for tenant in (None, "acme"):
        [used] = await tenants_of(queue).usage(day, day, tenant)
        assert (used.tasks, used.audio_seconds, used.speech_seconds) == (3, 180.0, 12.5)
    reader = queue.reader
    assert (await reader.totals()).speech_seconds == 12.5
    assert (await reader.totals("acme")).speech_seconds == 12.5
    buckets = await reader.stats()
    assert sum(bucket.speech_seconds for bucket in buckets) == 12.5


async def test_what_was_decoded_is_what_counts_and_what_a_file_claimed_leaves_no_trace(
    queue: Any,
) -> None:
    consumer = await queue.consumer()
    await queue.submit(1, tenant="acme", duration_seconds=1206.0)
    await queue.submit(1, tenant="acme", duration_seconds=1.0)
    claims = await queue.claim(consumer)
    decoded = {1206.0: 12.06, 1.0: 1228.0}
    done = [
        Finish(c.task.task_id, c.token, "r", 0.5, decoded[c.task.duration_seconds]) for c in claims
    ]
    assert await consumer.finish(done) == await consumer.finish(done) == [Outcome.OK] * 2
    [used] = await tenants_of(queue).usage(today(), today())
    assert (used.tasks, used.audio_seconds) == (2, 1240.06)
    assert (await queue.reader.totals()).audio_seconds == 1240.06
    tasks = [await queue.producer.get(claim.task.task_id) for claim in claims]
    assert [task.duration_seconds for task in tasks] == [12.06, 1228.0]
    assert (await queue.backlog()).audio_seconds == 0.0
    assert sum(bucket.audio_seconds for bucket in await queue.reader.stats()) == 1240.06


async def test_tenants_are_listed_with_what_they_hold(queue: Any) -> None:
    tenants = tenants_of(queue)
    await tenants.set_limits("acme", TenantLimits(weight=2.5, rate_per_minute=60))
    await queue.submit(2, tenant="busy", bytes=10)
    acme, busy = await tenants.tenant_usage()
    assert (acme.tenant, acme.limits) == ("acme", TenantLimits(weight=2.5, rate_per_minute=60))
    assert (busy.tenant, busy.open_tasks, busy.stored_bytes) == ("busy", 2, 20)
