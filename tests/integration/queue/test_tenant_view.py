"""What a tenant is told of the queue is what it has there itself, and all of them are the whole."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable
from dataclasses import astuple
from typing import Any

import pytest
from queue_releases import LEASE_MS, Current, Frozen, full_task

from asr_core.queue import Backlog, Failure, StatsBucket
from asr_core.task import Lane

pytestmark = pytest.mark.asyncio

TENANTS = ("acme", "other")


def counts(backlog: Backlog) -> dict[str, float]:
    """Every number of it that adds up over tenants, lane by lane."""
    names = ("waiting", "in_flight", "orphans", "held", "audio_seconds")
    lanes = {
        f"{lane}.{name}": number
        for lane in Lane
        for name, number in zip(names, astuple(backlog.lanes[lane]), strict=True)
    }
    rest = ("waiting", "in_flight", "orphans", "held", "delayed", "dead", "audio_seconds")
    return lanes | {name: getattr(backlog, name) for name in rest}


def some(backlog: Backlog) -> dict[str, float]:
    return {name: number for name, number in counts(backlog).items() if number}


def done(buckets: Iterable[StatsBucket]) -> Counter[str]:
    """Buckets of any width, as one sum with the histograms."""
    found: Counter[str] = Counter()
    for bucket in buckets:
        for name, value in vars(bucket).items():
            if isinstance(value, dict):
                found.update({f"{name}:{index}": count for index, count in value.items()})
            elif name != "at":
                found[name] += round(value * 1000)
    return found


async def add_up(queue: Any, pool: str = "default") -> None:
    """Whatever a number is, that of all tenants together is that of the platform."""
    whole = await queue.reader.read(pool)
    own = [await queue.reader.read(pool, tenant) for tenant in TENANTS]
    assert {name: sum(counts(each)[name] for each in own) for name in counts(whole)} == counts(
        whole
    )
    assert whole.oldest_wait_seconds >= max(each.oldest_wait_seconds for each in own) - 0.5
    buckets, open_tasks = await queue.reader.stats_and_open(pool, minutes=1440)
    told = [
        await queue.reader.stats_and_open(pool, minutes=1440, tenant=tenant) for tenant in TENANTS
    ]
    assert sum(own_open for _, own_open in told) == open_tasks
    assert +sum((done(own_buckets) for own_buckets, _ in told), Counter()) == +done(buckets)


async def test_a_tenant_is_told_its_own_numbers_to_the_task_in_every_state(queue: Any) -> None:
    consumer = await queue.consumer()
    await queue.submit(2, tenant="other", lane=Lane.INTERACTIVE, duration_seconds=30.0)
    await queue.submit(20, tenant="other", duration_seconds=5.0)  # four of them are held
    await queue.submit(3, tenant="acme", lane=Lane.BATCH, duration_seconds=1.5)
    await queue.submit_one(tenant="acme", source_url="https://example.com/a.wav")
    await add_up(queue)
    assert some(await queue.reader.read(tenant="acme")) == {
        "batch.waiting": 3, "batch.audio_seconds": 4.5, "waiting": 3, "audio_seconds": 4.5,
    }  # fmt: skip
    assert (await queue.reader.stats_and_open(tenant="acme"))[1] == 4
    assert (await queue.reader.read(tenant="other")).held == 4

    claims = await queue.claim(consumer, 100)
    assert {claim.task.tenant for claim in claims} == set(TENANTS)
    await add_up(queue)
    mine = [claim for claim in claims if claim.task.tenant == "acme"]
    assert (await queue.reader.read(tenant="acme")).in_flight == len(mine)

    one, two, *_ = mine
    await queue.finish(consumer, one)
    await consumer.fail([Failure(two.task.task_id, two.token, "engine_failed", "m", False)])
    told = await queue.reader.read(tenant="acme")
    assert (told.delayed, told.dead) == (1, 0)
    await add_up(queue)
    totals = await queue.reader.totals("acme")
    assert (totals.submitted, totals.completed, totals.audio_seconds) == (4, 1, 1.5)
    assert totals.since is not None
    nobody = await queue.reader.read(tenant="nobody")
    assert some(nobody) == {}
    assert nobody.oldest_wait_seconds < 0.001
    assert (await queue.reader.totals("nobody")).since is None


async def test_orphans_and_dead_letters_are_those_of_their_tenant(queue: Any) -> None:
    consumer = await queue.consumer()
    await queue.submit_one(tenant="acme")
    await queue.submit_one(tenant="other")
    for _ in range(2):
        await queue.claim(consumer)
    await queue.trusted()
    for lane in Lane:
        for task_id in queue.raw.zrange(f"asr:leases:default:{lane}", 0, -1):
            queue.raw.zadd(f"asr:leases:default:{lane}", {task_id: 1})
    told = await queue.reader.read(tenant="acme")
    assert (told.waiting, told.orphans, told.in_flight) == (1, 1, 0)
    await add_up(queue)
    while not queue.raw.xlen("asr_tasks:dead"):
        claims = await queue.claim(consumer) + await queue.reap(consumer)
        for claim in (each for each in claims if each.task.tenant == "acme"):
            failure = Failure(claim.task.task_id, claim.token, "engine_failed", "m", False)
            await consumer.fail([failure])
        for task_id in queue.raw.zrange("asr:delayed:default", 0, -1):
            queue.raw.zadd("asr:delayed:default", {task_id: 1})
    assert (await queue.reader.read(tenant="acme")).dead == 1
    assert (await queue.reader.read(tenant="other")).dead == 0
    await add_up(queue)
    (letter,) = (await queue.producer.dead_letters()).letters
    await queue.producer.redrive(letter.task.task_id)
    await add_up(queue)


async def test_a_place_is_that_among_the_tenants_own_whatever_others_bring(queue: Any) -> None:
    await queue.submit(40, tenant="other")
    places = [(await queue.submit_one(tenant="acme")).position for _ in range(20)]
    assert places == list(range(1, 21))  # sixteen stand in the stream, the others are held
    tasks = (await queue.producer.history(tenant="acme", limit=50)).tasks[::-1]
    assert [await queue.producer.position(task) for task in tasks] == places
    await queue.producer.cancel(tasks[0].task_id)
    assert await queue.producer.position(tasks[0]) is None
    assert [await queue.producer.position(task) for task in tasks[1:]] == list(range(1, 20))
    await add_up(queue)


async def test_pools_are_told_apart(queue_on: Any, redis_server: Any) -> None:
    queue = await queue_on(redis_server.settings(), pools=("default", "large"))
    await queue.submit(2, tenant="acme", pool="large", duration_seconds=9.0)
    await queue.submit(1, tenant="acme")
    assert (await queue.reader.read("large", "acme")).audio_seconds == 18
    assert (await queue.reader.read("default", "acme")).waiting == 1
    for pool in ("default", "large"):
        await add_up(queue, pool)


async def test_what_it_costs_does_not_grow_with_the_queue(queue_on: Any, redis_server: Any) -> None:
    """Counted in commands, not in seconds."""
    queue = await queue_on(redis_server.settings(), lease_seconds=600)

    async def commands() -> int:
        queue.raw.config_resetstat()
        await queue.reader.read(tenant="acme")
        told = queue.raw.info("commandstats")
        return sum(each["calls"] for name, each in told.items() if "config" not in name)

    consumer = await queue.consumer()
    await queue.submit(1, tenant="acme")
    await queue.claim(consumer)
    await commands()  # the first sees this Redis for the first time
    few = await commands()
    for tenant in TENANTS:
        await queue.submit(60, tenant=tenant)
    await queue.claim(consumer, 40)
    assert await commands() == few


async def test_nothing_is_left_of_a_tenant_that_has_gone_but_what_expires(queue: Any) -> None:
    consumer = await queue.consumer()
    ids = [i for tenant in TENANTS for i in await queue.submit(20, tenant=tenant)]
    while claims := await queue.claim(consumer, 7):
        await queue.finish(consumer, *claims)
    for task_id in ids:
        await queue.producer.delete(task_id)
    for key in queue.raw.scan_iter("asr:*"):
        if any(tenant in key for tenant in TENANTS):
            assert queue.raw.ttl(key) > 0, key
        assert not key.startswith(("asr:tenant_open", "asr:next", "asr:tenant_dead")), key
    assert queue.raw.ttl("asr:tenant_totals:acme") > 399 * 86400
    (stats,) = (key for key in queue.raw.scan_iter("asr:tenant_stats:default:acme:*"))
    assert 0 < queue.raw.ttl(stats) <= 86400


async def test_what_programs_of_an_older_release_do_is_counted_by_reconcile(queue: Any) -> None:
    """They keep the platform's counters alone."""
    old, new = Frozen(queue, "old-worker"), Current(queue, "new-worker")
    await old.join()
    await new.join()
    for number in range(20):  # release 1 submits for `default`
        await (old, new)[number % 2].submit(f"task-{number:02}")
    whole = await queue.reader.read()
    assert (await queue.reader.read(tenant="default")).waiting == whole.waiting == 20
    held = await old.claim() + await new.claim()
    await old.finish(held[:3])
    await new.finish(held[3:5])
    await old.fail(held[5:7])
    await queue.producer.submit(full_task("waits").model_copy(update={"tenant": "acme"}))
    assert await new.reconcile() == (0, 0)
    own = [await queue.reader.read(tenant=tenant) for tenant in ("default", "acme")]
    whole = counts(await queue.reader.read())
    assert {name: sum(counts(each)[name] for each in own) for name in whole} == whole
    places = [
        await queue.producer.position(task)
        for task in (await queue.producer.history(tenant="default", limit=50)).tasks
    ]
    waiting = sorted(place for place in places if place)
    assert waiting == list(range(1, len(waiting) + 1))


async def test_the_place_of_a_task_that_an_older_release_submitted_is_known_at_once(
    queue: Any,
) -> None:
    old = Frozen(queue, "old-worker")
    for task_id in ("task-1", "task-2"):
        await old.submit(task_id)
        assert await queue.producer.position(await queue.producer.get(task_id))


async def test_dead_letters_of_an_older_release_are_counted_and_forced_reconcile_finds_a_swap(
    queue: Any,
) -> None:
    old = Frozen(queue, "old-worker")
    await old.join()
    await old.submit("poison")
    await queue.trusted()
    while not queue.raw.xlen("asr_tasks:dead"):
        await old.claim() or await old.reap()
        await asyncio.sleep(LEASE_MS / 1000 + 0.02)
    assert (await queue.reader.read(tenant="default")).dead == 0
    assert (await queue.upkeep.reconcile(force=False)).tenants_recounted >= 1
    assert (await queue.reader.read(tenant="default")).dead == 1
    queue.raw.delete("asr:tenant_dead")
    queue.raw.hset("asr:tenant_dead", "acme", 1)  # the sum is right, the tenant is not
    assert (await queue.upkeep.reconcile(force=True)).tenants_recounted == 2
    assert queue.raw.hgetall("asr:tenant_dead") == {"default": "1"}
