"""Retention: what goes, what stays, and what it says about that."""

import random
from typing import Any

import pytest
import uuid_utils

from asr_core.errors import AudioGone, StateConflict, TaskNotFound
from asr_core.lifecycle.orphan_sweep import Sweep
from asr_core.lifecycle.retention import RetentionRefused
from asr_core.queue import Consumer, Failure
from asr_core.queue.retention_index import RetentionIndex
from asr_core.task import State, audio_path, result_path

pytestmark = pytest.mark.asyncio

FINISHED = (State.COMPLETED, State.CANCELLED)
DAY_MS = 24 * 3600 * 1000
DAY_SECONDS = 24 * 3600.0


async def test_the_newest_recordings_of_completed_and_cancelled_tasks_stay(keep: Any) -> None:
    tasks = [await keep.add(FINISHED[number % 2]) for number in range(7)]
    told = await keep.run(max_recordings=3)
    assert keep.recordings() == set(tasks[-3:])
    assert (told.recordings_deleted, told.bytes_freed, told.recordings_kept) == (4, 12, 3)
    assert (told.records_deleted, told.errors, told.problem) == (0, 0, "")
    assert keep.records() == set(tasks)
    assert keep.results() == set(tasks[::2])
    again = await keep.run(max_recordings=3)
    assert (again.recordings_deleted, again.recordings_kept) == (0, 3)


async def test_failed_tasks_keep_their_recording_and_open_ones_everything(keep: Any) -> None:
    failed = [await keep.add(State.FAILED, age_seconds=DAY_SECONDS) for _ in range(3)]
    running = await keep.add(State.PROCESSING, age_seconds=DAY_SECONDS)
    done = await keep.add(State.COMPLETED, age_seconds=DAY_SECONDS)
    waiting = await keep.add(State.QUEUED, age_seconds=DAY_SECONDS)
    told = await keep.run(max_recordings=0, recordings_max_age_ms=0)
    assert keep.recordings() == {*failed, running, waiting}
    assert (told.recordings_deleted, told.recordings_kept) == (1, 3)
    await keep.run(results_max_age_ms=0)
    assert keep.records() == keep.recordings() == {running, waiting}
    assert done not in keep.results()


async def test_each_tenant_keeps_its_own_newest(keep: Any) -> None:
    first = [await keep.add(State.CANCELLED, tenant="a") for _ in range(3)]
    second = [await keep.add(State.CANCELLED, tenant="b") for _ in range(3)]
    await keep.run(max_recordings=2)
    assert keep.recordings() == {*first[1:], *second[1:]}


async def test_recordings_go_by_age_from_the_end_of_their_task(keep: Any) -> None:
    old = await keep.add(State.COMPLETED, age_seconds=2 * DAY_SECONDS)
    young = await keep.add(State.COMPLETED, age_seconds=DAY_SECONDS / 2)
    submitted_long_ago = await keep.add(State.COMPLETED, age_seconds=2 * DAY_SECONDS)
    keep.queue.raw.hset(
        f"asr:task:{submitted_long_ago}",
        "finished_at",
        await RetentionIndex(keep.queue.connection).now_ms(),
    )
    await keep.run(recordings_max_age_ms=DAY_MS, results_max_age_ms=3 * DAY_MS)
    assert keep.recordings() == {young, submitted_long_ago}
    assert old in keep.records()
    await keep.run(results_max_age_ms=DAY_MS)
    assert keep.records() == {young, submitted_long_ago}


async def test_a_record_goes_with_all_that_belongs_to_it(keep: Any) -> None:
    queue, raw = keep.queue, keep.queue.raw
    dead = await dead_letter(keep, idempotency_key="k", tenant="a")
    await keep.store.put(result_path(dead, 1), b"of a lost attempt")
    done = await keep.add(State.COMPLETED, tenant="b")
    taken_over = await keep.add(State.CANCELLED, tenant="c", idempotency_key="reused")
    raw.hset("asr:idempotency:c:reused", "task_id", "another")
    told = await keep.run(results_max_age_ms=0)
    assert (told.records_deleted, told.recordings_deleted, told.bytes_freed) == (3, 3, 9)
    left = [key for key in raw.keys("asr:*") if any(t in key for t in (dead, done, taken_over))]
    assert left == []
    assert raw.keys("asr:history:*") == []
    assert raw.smembers("asr:tenants") == set()
    assert raw.xlen("asr_tasks:dead") == 0
    assert raw.keys("asr:idempotency:*") == ["asr:idempotency:c:reused"]
    assert keep.recordings() == keep.results() == set()
    with pytest.raises(TaskNotFound):
        await queue.producer.get(done)
    assert (await queue.submit_one(idempotency_key="k", tenant="a")).created


async def dead_letter(keep: Any, **fields: Any) -> str:
    """A dead letter."""
    task_id = await keep.add(State.QUEUED, **fields)
    strict = keep.queue.settings.model_copy(update={"retry_limit": 0})
    consumer = Consumer(keep.queue.connection, strict, pool="default", name="worker-1")
    [claim] = await keep.queue.claim(consumer)
    await consumer.fail([Failure(task_id, claim.token, "engine_failed", "broke", False)])
    assert keep.queue.raw.xlen("asr_tasks:dead") == 1
    return str(task_id)


async def test_a_task_without_its_recording_is_never_queued_again(keep: Any) -> None:
    done = await keep.add(State.COMPLETED)
    cancelled = await keep.add(State.CANCELLED)
    await keep.run(max_recordings=0)
    assert (await keep.queue.producer.get(cancelled)).audio_deleted_at is not None
    with pytest.raises(AudioGone):
        await keep.queue.producer.retry(cancelled)
    with pytest.raises(StateConflict):
        await keep.queue.producer.retry(done)
    assert (await keep.queue.backlog()).waiting == 0


async def test_a_dry_run_tells_the_same_and_changes_nothing(keep: Any) -> None:
    for number in range(6):
        await keep.add(FINISHED[number % 2], age_seconds=(6 - number) * DAY_SECONDS)
    await keep.add(State.FAILED, age_seconds=10 * DAY_SECONDS)
    await keep.add(State.QUEUED)
    limits = {"max_recordings": 1, "results_max_age_ms": round(3.5 * DAY_MS)}
    before = keep.dump()
    would = await keep.run(dry_run=True, **limits)
    assert keep.dump() == before
    did = await keep.run(**limits)
    assert keep.dump() != before
    assert (did.records_deleted, did.recordings_deleted, did.recordings_kept) == (4, 6, 1)
    for told in (would, did):
        told.seconds, told.dry_run = 0, False
    assert would == did


async def test_an_empty_redis_deletes_nothing(keep: Any) -> None:
    tasks = [await keep.add(FINISHED[number % 2]) for number in range(4)]
    keep.queue.raw.flushall()
    told = await keep.run(max_recordings=0, recordings_max_age_ms=0, results_max_age_ms=0)
    assert keep.recordings() == set(tasks)
    assert keep.results() == set(tasks[::2])
    assert (told.unknown, told.recordings_deleted, told.records_deleted) == (4, 0, 0)


async def test_redis_and_store_that_do_not_belong_together_are_left_alone(keep: Any) -> None:
    retention = keep.retention(max_recordings=0, results_max_age_ms=0)
    await Sweep(retention._orphans, keep.store).mark()
    await keep.add(State.COMPLETED)
    await keep.store.put("epoch", b"another")
    before = keep.dump()
    for dry_run in (True, False):
        with pytest.raises(RetentionRefused, match="adopt-store"):
            await retention.run(dry_run=dry_run)
    assert keep.dump() == before
    await Sweep(retention._orphans, keep.store).mark(adopt=True)
    assert (await retention.run()).records_deleted == 1


async def test_blobs_of_no_known_task_are_counted_and_left_to_the_sweep(keep: Any) -> None:
    await keep.add(State.COMPLETED)
    for path in (audio_path("never-submitted"), "audio/deeper/down", result_path("lost", 1)):
        await keep.store.put(path, b"x")
    told = await keep.run(max_recordings=0, recordings_max_age_ms=0)
    assert (told.unknown, told.recordings_deleted) == (2, 1)
    assert keep.recordings() == {"never-submitted", "deeper"}
    assert "lost" in keep.results()


async def test_history_that_leads_to_no_record_is_forgotten(keep: Any) -> None:
    task_id = await keep.add(State.COMPLETED)
    keep.queue.raw.delete(f"asr:task:{task_id}")
    told = await keep.run(results_max_age_ms=0)
    assert told.records_deleted == 0
    assert keep.queue.raw.keys("asr:history:*") == []
    assert keep.recordings() == {task_id}


async def test_one_turn_at_a_time(keep: Any) -> None:
    keeping = RetentionIndex(keep.queue.connection)
    assert [await keeping.try_lock(60) for _ in range(3)] == [True, False, False]
    assert 0 < keep.queue.raw.pttl("asr:lock:retention") <= 60_000


async def test_a_full_redis_is_relieved(private_redis: Any, queue_on: Any, keep: Any) -> None:
    """That is when retention is needed most."""
    server = private_redis()
    keep.queue = await queue_on(server.settings())
    tasks = [await keep.add(FINISHED[number % 2]) for number in range(20)]
    keep.queue.raw.config_set("maxmemory", "1mb")
    with pytest.raises(Exception, match="maxmemory"):
        keep.queue.raw.set("more", "x")
    assert await RetentionIndex(keep.queue.connection).try_lock(60)
    told = await keep.run(max_recordings=3, results_max_age_ms=0)
    assert told.records_deleted == len(tasks)
    assert keep.records() == set()


async def test_twenty_thousand_records_go_in_bounded_time_and_without_blocking_redis(
    keep: Any,
) -> None:
    template = await keep.add(State.COMPLETED, age_seconds=10 * DAY_SECONDS)
    queue, count = keep.queue, 20_000
    fields = queue.raw.hgetall(f"asr:task:{template}")
    ids = [template]
    with queue.raw.pipeline(transaction=False) as pipe:
        for number in range(count - 1):
            ids.append(str(uuid_utils.uuid7(nanoseconds=10**18 + number * 10**6)))
            pipe.hset(f"asr:task:{ids[-1]}", mapping={**fields, "task_id": ids[-1]})
            pipe.zadd("asr:history:default", {ids[-1]: 0})
            pipe.zadd("asr:history:default:completed", {ids[-1]: 0})
        pipe.execute()
    for task_id in random.sample(ids, 1000):
        (keep.folder / "audio" / task_id).write_bytes(b"abc")
    young = await keep.add(State.COMPLETED)
    queue.raw.config_resetstat()
    told = await keep.run(max_recordings=10, results_max_age_ms=DAY_MS)
    scripts = queue.raw.info("commandstats")["cmdstat_evalsha"]
    assert (told.records_deleted, told.recordings_kept, told.problem) == (count, 1, "")
    assert keep.records() == keep.recordings() == {young}
    # On average, for a single call also waits for a processor that others use.
    assert scripts["usec_per_call"] < 50_000
    assert told.seconds < 120
