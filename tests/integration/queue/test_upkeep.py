"""What vanished comes back; counters are exact; Redis at its limits."""

import asyncio
import json
import random
from contextlib import suppress
from typing import Any

import pytest

from asr_core.errors import QueueUnavailable, RetryPolicy, SchemaMismatch
from asr_core.queue import Fetching
from asr_core.task import Lane, State

pytestmark = pytest.mark.asyncio


async def finish_all(queue: Any, consumer: Any) -> int:
    done = 0
    while claims := await queue.claim(consumer) + await queue.reap(consumer):
        done += len([o for o in await queue.finish(consumer, *claims) if o == "ok"])
    return done


async def test_a_vanished_group_is_made_again_and_reads_everything(queue: Any) -> None:
    await queue.submit(5)
    queue.raw.xgroup_destroy("asr_tasks", "asr_workers")
    assert (await queue.backlog()).signal == "no_group"
    assert (await queue.backlog()).waiting == 5
    assert await finish_all(queue, await queue.consumer()) == 5


async def test_claim_itself_makes_the_group_again(queue: Any) -> None:
    consumer = await queue.consumer()
    await queue.submit(2)
    queue.raw.xgroup_destroy("asr_tasks", "asr_workers")
    assert len(await queue.claim(consumer)) == 2


async def test_a_group_that_vanished_under_a_running_task_does_not_run_it_twice(queue: Any) -> None:
    consumer = await queue.consumer()
    await queue.submit(2)
    claims = await queue.claim(consumer)
    queue.raw.xgroup_destroy("asr_tasks", "asr_workers")
    assert await queue.claim(await queue.consumer("worker-2")) == []
    assert await queue.finish(consumer, *claims) == ["ok", "ok"]
    assert (await queue.backlog()).waiting == 0


async def test_tasks_of_a_vanished_stream_are_added_again(queue: Any) -> None:
    await queue.submit(40)
    queue.raw.delete("asr_tasks")
    assert (await queue.backlog()).waiting == 24
    assert (await queue.upkeep.reconcile()).readded == 16
    backlog = await queue.backlog()
    assert (backlog.waiting, backlog.held) == (40, 24)
    assert await finish_all(queue, await queue.consumer()) == 40


async def test_a_running_task_whose_stream_vanished_is_not_added_while_its_lease_holds(
    queue: Any,
) -> None:
    consumer = await queue.consumer()
    await queue.submit()
    [claim] = await queue.claim(consumer)
    queue.raw.delete("asr_tasks")
    assert (await queue.upkeep.reconcile()).readded == 0
    await queue.outlive_leases()
    assert (await queue.upkeep.reconcile(force=True)).readded == 1
    assert (await queue.producer.get(claim.task.task_id)).state is State.QUEUED


async def test_an_entry_acknowledged_by_hand_is_added_again(queue: Any) -> None:
    await queue.submit()
    [(_, [(entry, _)])] = queue.raw.xreadgroup("asr_workers", "someone", {"asr_tasks": ">"})
    queue.raw.xack("asr_tasks", "asr_workers", entry)
    assert (await queue.upkeep.reconcile()).readded == 1
    assert await finish_all(queue, await queue.consumer()) == 1


async def test_an_entry_read_by_hand_and_left_is_taken_over(queue: Any) -> None:
    await queue.submit()
    queue.raw.xreadgroup("asr_workers", "someone", {"asr_tasks": ">"})
    await queue.upkeep.reconcile()
    assert await finish_all(queue, await queue.consumer()) == 1


async def test_reconcile_runs_once_a_minute_however_many_pods_call_it(queue: Any) -> None:
    done = await asyncio.gather(*(queue.upkeep.reconcile() for _ in range(5)))
    assert len([r for r in done if r is not None]) == 1


async def test_drifted_counters_are_corrected(queue: Any) -> None:
    await queue.submit(30, duration_seconds=2.0)
    queue.raw.hset("asr:backlog:default", "normal_ms", 999)
    queue.raw.hset("asr:undelivered:default:normal", "ghost", 16)
    queue.raw.hset("asr:held_tenants:default:normal", "default", 3)
    assert (await queue.upkeep.reconcile()).corrected == 3
    backlog = await queue.backlog()
    assert (backlog.audio_seconds, backlog.held) == (60.0, 14)


async def test_held_tasks_are_topped_up_where_the_count_had_drifted(queue: Any) -> None:
    await queue.submit(30)
    queue.raw.delete("asr_tasks")
    await queue.upkeep.reconcile()
    assert queue.raw.xlen("asr_tasks") == 16


async def test_idle_consumers_without_pending_entries_are_removed(
    queue: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("asr_core.queue.reconciler._CONSUMER_IDLE_MS", 0)
    for name in ("idle", "busy"):
        queue.raw.xgroup_createconsumer("asr_tasks", "asr_workers", name)
    await queue.submit()
    queue.raw.xreadgroup("asr_workers", "busy", {"asr_tasks": ">"})
    while not all(c["idle"] for c in queue.raw.xinfo_consumers("asr_tasks", "asr_workers")):
        await asyncio.sleep(0.001)
    assert (await queue.upkeep.reconcile()).consumers_removed == 1
    assert [c["name"] for c in queue.raw.xinfo_consumers("asr_tasks", "asr_workers")] == ["busy"]


async def test_the_backlog_knows_an_empty_redis_from_an_absent_one(
    private_redis: Any, queue_on: Any
) -> None:
    server = private_redis()
    queue = await queue_on(server.settings())
    assert (await queue.backlog()).signal == "ok"
    queue.raw.flushall()
    assert (await queue.backlog()).signal == "no_stream"
    queue.raw.xadd("asr_tasks", {"task_id": "x"})
    backlog = await queue.backlog()
    assert (backlog.signal, backlog.waiting) == ("no_group", 1)
    server.kill()
    with pytest.raises(QueueUnavailable):
        await queue.backlog()


async def test_backlog_counts_are_exact_over_every_place_a_task_can_stand(queue: Any) -> None:
    consumer = await queue.consumer()
    await queue.submit(60, duration_seconds=1.5)
    await queue.submit(2, lane=Lane.BATCH, duration_seconds=1.5)
    claims = await queue.claim(consumer, 10)
    await queue.finish(consumer, *claims[:4])
    await consumer.release([(claims[4].task.task_id, claims[4].token)])
    backlog = await queue.backlog()
    assert (backlog.waiting, backlog.in_flight, backlog.orphans) == (53, 5, 1)
    assert backlog.audio_seconds == 58 * 1.5
    assert backlog.lanes[Lane.BATCH].waiting == 2 - sum(c.task.lane is Lane.BATCH for c in claims)


async def test_oldest_wait_counts_from_when_a_task_was_queued(queue: Any) -> None:
    assert (await queue.backlog()).oldest_wait_seconds == 0
    await queue.submit()
    while (await queue.backlog()).oldest_wait_seconds < 0.05:
        await asyncio.sleep(0.01)
    await queue.submit()
    assert (await queue.backlog()).oldest_wait_seconds >= 0.05


async def test_the_backlog_of_a_hundred_thousand_is_read_without_walking_through_it(
    queue: Any,
) -> None:
    pipe = queue.raw.pipeline()
    for _ in range(100_000):
        pipe.xadd("asr_tasks", {"task_id": "bulk"})
    pipe.execute()
    queue.raw.xreadgroup("asr_workers", "bulk", {"asr_tasks": ">"}, count=100_000)
    queue.raw.config_resetstat()
    assert (await queue.backlog()).in_flight == 100_000
    asked = {name.removeprefix("cmdstat_") for name in queue.raw.info("commandstats")}
    assert not asked & {
        "xrange",
        "xautoclaim",
        "xreadgroup",
        "xclaim",
        "xinfo|consumers",
        "scan",
        "keys",
    }
    assert queue.raw.info("commandstats")["cmdstat_xpending"]["calls"] == 3


async def test_a_full_redis_refuses_submits_and_still_drains(
    private_redis: Any, queue_on: Any
) -> None:
    server = private_redis()
    queue = await queue_on(server.settings())
    consumer = await queue.consumer()
    await queue.submit(50)
    server.client().config_set("maxmemory", "1mb")
    with pytest.raises(QueueUnavailable, match=r"refuses|not available"):
        await queue.submit()
    assert await finish_all(queue, consumer) == 50
    await queue.crash(consumer)
    assert (await queue.backlog()).waiting == 0
    server.client().config_set("maxmemory", "0")
    await queue.submit()


async def test_programs_two_schema_versions_apart_refuse_to_start(queue: Any) -> None:
    queue.raw.set("asr:schema", 3)
    with pytest.raises(SchemaMismatch, match="3"):
        await queue.producer.prepare()
    queue.raw.set("asr:schema", 2)
    await queue.producer.prepare()
    queue.raw.set("asr:schema", "0")
    await queue.producer.prepare()
    assert queue.raw.get("asr:schema") == "1"


async def test_a_redis_that_lost_its_scripts_is_served_all_the_same(queue: Any) -> None:
    await queue.submit()
    queue.raw.script_flush()
    await queue.submit()
    assert (await queue.backlog()).waiting == 2


async def test_listeners_hear_every_state_of_a_task(queue: Any, watcher: Any) -> None:
    [task_id] = await queue.submit()
    consumer = await queue.consumer()
    async with watcher.watch(task_id) as changes:
        await queue.finish(consumer, *await queue.claim(consumer))
        heard: list[str] = []
        while "completed" not in heard:
            heard.append((await asyncio.wait_for(anext(changes), 5)).state)
    assert [state for state in heard if state] == ["processing", "completed"]


async def test_a_listener_is_told_to_look_again_after_its_connection_broke(
    queue: Any, watcher: Any
) -> None:
    [task_id] = await queue.submit()
    async with watcher.watch(task_id) as changes:
        queue.raw.client_kill_filter(_type="pubsub")
        await queue.producer.cancel(task_id)
        states = {(await asyncio.wait_for(anext(changes), 5)).state}
        with suppress(TimeoutError):
            states.add((await asyncio.wait_for(anext(changes), 2)).state)
    assert states & {"", "cancelled"}


async def test_a_waking_worker_hears_of_new_work(queue: Any) -> None:
    consumer = await queue.consumer()
    async with consumer.wake() as event:
        while not queue.raw.pubsub_numsub("asr:wake:default")[0][1]:
            await asyncio.sleep(0.01)
        await queue.submit()
        await asyncio.wait_for(event.wait(), 5)


async def test_stats_count_arrivals_waits_and_results(queue: Any) -> None:
    consumer = await queue.consumer()
    await queue.submit(4, duration_seconds=3.0)
    claims = await queue.claim(consumer)
    await queue.finish(consumer, *claims[:3])
    buckets = await queue.reader.stats(minutes=5)
    assert sum(b.arrivals for b in buckets) == 4
    assert sum(b.audio_seconds for b in buckets) == 9
    assert sum(sum(b.wait_histogram.values()) for b in buckets) == 4
    totals = await queue.reader.totals()
    assert (totals.submitted, totals.completed, totals.audio_seconds) == (4, 3, 9)


async def test_what_arrived_less_what_ended_is_what_is_open_also_for_recordings_by_url(
    queue: Any,
) -> None:
    """The dashboard counts back from the open tasks: before the first task there were none."""
    fetching = Fetching(queue.connection, queue.settings)

    async def before_all() -> int:
        buckets, still_open = await queue.reader.stats_and_open(minutes=5)
        ended = sum(b.completed + b.failed + b.cancelled for b in buckets)
        return int(still_open - sum(b.arrivals for b in buckets) + ended)

    async def failed(fetch: Any) -> None:
        trouble = RetryPolicy.PERMANENT
        await fetching.failed(fetch, trouble, code="url_not_found", message="404")
        assert await before_all() == 0

    await queue.submit(2)
    ids = await queue.submit(4, bytes=0, duration_seconds=0, source_url="https://example.com/a")
    assert await before_all() == 0
    gone, *others = await fetching.take(token="t", limit=4, per_destination=4, busy={})
    await failed(gone)
    await fetching.fetched(others[0], size_bytes=3, duration_seconds=2.0, content_type="audio/wav")
    await queue.producer.cancel(others[1].task.task_id)
    await queue.producer.retry(gone.task.task_id)
    assert await before_all() == 0
    [again] = await fetching.take(token="u", limit=4, per_destination=4, busy={})
    await failed(again)
    assert {each.task.task_id for each in (gone, *others)} == set(ids)
    consumer = await queue.consumer()
    await queue.finish(consumer, *await queue.claim(consumer))
    assert await before_all() == 0
    buckets = await queue.reader.stats(minutes=5)
    assert sum(b.arrivals for b in buckets) == 7
    # Of these three came to the workers, and their audio was 6 s; one is still being fetched.
    assert sum(b.queued for b in buckets) == 3
    assert sum(b.arrival_seconds for b in buckets) == 6


async def test_worker_records_die_with_their_worker(queue: Any) -> None:
    consumer = await queue.consumer("pod-1")
    assert [w.consumer for w in await queue.reader.workers()] == ["pod-1"]
    assert 0 < queue.raw.pttl("asr:worker:pod-1") <= 30_000
    await consumer.leave()
    assert await queue.reader.workers() == []


async def test_a_stream_entry_is_small(queue: Any) -> None:
    await queue.submit_one(filename="x" * 200)
    [(_, fields)] = queue.raw.xrange("asr_tasks")
    assert len(json.dumps(fields)) < 80


async def test_listeners_may_come_at_any_time_beside_one_that_already_listens(
    queue: Any, watcher: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("asr_core.queue.subscription.PING_SECONDS", 0.05)
    chance = random.Random(1)
    ids = await queue.submit(20)

    async def hear(task_id: str) -> str:
        async with watcher.watch(task_id) as changes:
            await asyncio.sleep(chance.uniform(0, 0.4))
            await queue.producer.cancel(task_id)
            while True:
                change = await asyncio.wait_for(anext(changes), 5)
                if change.state == "cancelled":
                    return change.state

    async def sometime(task_id: str) -> str:
        await asyncio.sleep(chance.uniform(0, 0.6))
        return await hear(task_id)

    heard = await asyncio.gather(*map(sometime, ids))
    assert heard == ["cancelled"] * 20
