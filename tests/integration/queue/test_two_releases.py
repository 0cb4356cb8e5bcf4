"""Programs of release 1, frozen, and of this one on one Redis: each works on the other's tasks."""

import asyncio
import json
from typing import Any

import pytest
import pytest_asyncio
from queue_releases import RELEASE_1, Current, Frozen, Held, Release, full_task

from asr_core.queue import Fetching, Outcome
from asr_core.queue.record import to_hash

pytestmark = pytest.mark.asyncio


@pytest_asyncio.fixture(params=["release 1 and this one", "this one and release 1"])
async def two(queue: Any, request: pytest.FixtureRequest) -> tuple[Release, Release]:
    """Two programs, both joined."""
    old, new = Frozen(queue, "old-worker"), Current(queue, "new-worker")
    await old.join()
    await new.join()
    return (old, new) if request.param.startswith("release") else (new, old)


async def agree(one: Release, other: Release, *counts: int) -> None:
    assert await one.backlog() == await other.backlog() == counts


async def nothing_is_left(queue: Any, *releases: Release) -> None:
    await agree(releases[0], releases[1], 0, 0, 0, 0)
    for release in releases:
        assert await release.reconcile() == (0, 0)
    assert queue.raw.xlen("asr_tasks") == 0


async def test_what_one_submits_the_other_completes(queue: Any, two: Any) -> None:
    one, other = two
    ids = [await one.submit(f"task-{n}") for n in range(40)]
    await agree(one, other, 40, 0, 0, 80_000)
    done: Held = []
    while held := await other.claim():
        assert set(await other.renew(held)) == {"ok"}
        assert set(await other.finish(held)) == {"ok"}
        done += held
    assert sorted(i for i, _ in done) == sorted(ids)
    task = await queue.producer.get(ids[0])
    assert (task.state, task.attempt, task.options.language) == ("completed", 1, "en")
    await nothing_is_left(queue, one, other)


async def test_a_task_of_a_dead_one_is_taken_over_by_the_other_and_fenced(
    queue: Any, two: Any
) -> None:
    one, other = two
    await one.submit("task")
    stale = await one.claim()
    await queue.trusted()
    await queue.outlive_leases()
    taken = await other.reap()
    assert [i for i, _ in taken] == ["task"]
    assert await one.renew(stale) == await one.finish(stale) == ["fenced"]
    assert await other.recover() == taken
    assert await other.finish(taken) == ["ok"]
    await nothing_is_left(queue, one, other)


async def test_what_one_hands_back_the_other_takes_at_once(queue: Any, two: Any) -> None:
    one, other = two
    await one.submit("task")
    held = await one.claim()
    assert await one.release(held) == ["ok"]
    await agree(one, other, 1, 0, 0, 2000)
    taken = await other.reap()
    assert await one.finish(held) == ["fenced"]
    assert await other.finish(taken) == ["ok"]
    assert (await queue.producer.get("task")).attempt == 1
    await nothing_is_left(queue, one, other)


async def test_what_failed_in_one_is_run_again_by_the_other(queue: Any, two: Any) -> None:
    one, other = two
    await one.submit("task")
    assert await one.fail(await one.claim()) == ["ok"]
    while not queue.raw.zcount("asr:delayed:default", "-inf", queue.raw.time()[0] * 1000):
        await asyncio.sleep(0.01)
    assert await other.move_due() == 1
    taken = await other.claim()
    assert await other.finish(taken) == ["ok"]
    await nothing_is_left(queue, one, other)


async def test_cancel_retry_and_delete_reach_across(queue: Any, two: Any) -> None:
    one, other = two
    for task_id in ("cancelled", "deleted"):
        await one.submit(task_id)
    held = [claim for _ in range(2) for claim in await one.claim()]
    assert len(held) == 2
    await other.cancel("cancelled")
    await other.delete("deleted")
    outcomes = {i: outcome for (i, _), outcome in zip(held, await one.renew(held), strict=True)}
    assert outcomes == {"cancelled": "cancelled", "deleted": "gone"}
    await one.retry("cancelled")
    [(task_id, token)] = await other.claim()
    assert await other.finish([(task_id, token)]) == ["ok"]
    await nothing_is_left(queue, one, other)


async def test_one_key_is_one_task_for_both(queue: Any, two: Any) -> None:
    one, other = two
    assert await one.submit("first", "key-1") == "first"
    assert await other.submit("second", "key-1") == "first"
    await agree(one, other, 1, 0, 0, 2000)


async def test_what_fell_out_is_put_back_by_either_and_run_by_either(queue: Any, two: Any) -> None:
    one, other = two
    for number in range(30):
        await (one, other)[number % 2].submit(f"task-{number}")
    held = await one.claim()
    queue.raw.xgroup_destroy("asr_tasks", "asr_workers")
    taken = await other.claim()
    assert not {i for i, _ in held} & {i for i, _ in taken}
    for task_id, _ in held + taken:  # none is to lapse on a busy machine
        queue.raw.zincrby("asr:leases:default:normal", 60_000, task_id)
    for number in range(30, 40):
        await (one, other)[number % 2].submit(f"task-{number}")
    # Release 1 mixes up entries of old and new streams of one moment.
    moment = queue.raw.time()
    while queue.raw.time()[1] // 1000 == moment[1] // 1000:
        await asyncio.sleep(0)
    queue.raw.delete("asr_tasks")
    readded, _ = await other.reconcile()
    assert readded > 0
    assert await one.reconcile() == (0, 0)
    await one.finish(held)
    while taken:
        await other.finish(taken)
        taken = await other.claim() + await one.claim()
    assert (await queue.reader.totals()).completed == 40
    await nothing_is_left(queue, one, other)


async def test_poison_is_counted_by_both_and_put_back_by_either(queue: Any, two: Any) -> None:
    one, other = two
    await one.submit("poison")
    await queue.trusted()
    victims = [one, other] * 3
    while not queue.raw.xlen("asr_tasks:dead"):
        victim = victims.pop()
        await victim.claim() or await victim.reap()
        await queue.outlive_leases()
        await victims[-1].reap() if victims else await one.reap()
    task = await queue.producer.get("poison")
    assert (task.state, task.solo_crashes) == ("failed", 3)
    await other.retry("poison")
    assert await one.finish(await one.claim()) == ["ok"]
    await nothing_is_left(queue, one, other)


async def test_the_record_of_a_task_has_the_fields_of_release_1(queue: Any) -> None:
    frozen = json.loads((RELEASE_1 / "task.json").read_text())
    assert to_hash(full_task()).items() >= frozen.items()


async def test_release_1_leaves_a_task_that_is_being_fetched_alone_and_can_delete_it(
    queue: Any,
) -> None:
    old, fetching = Frozen(queue, "old-worker"), Fetching(queue.connection, queue.settings)
    for task_id in ("task-1", "task-2"):
        update = {"source_url": "https://example.com/a.wav", "idempotency_key": "", "webhook": ""}
        await queue.producer.submit(full_task(task_id).model_copy(update=update))
    assert await old.reconcile() == (0, 0)
    assert await old.claim() == []
    await old.delete("task-1")
    taken = await fetching.take(token="t", limit=9, per_destination=9, busy={})
    assert [fetch.task.task_id for fetch in taken] == ["task-2"]
    done = {"size_bytes": 3, "duration_seconds": 2.0, "content_type": "audio/wav"}
    assert await fetching.fetched(taken[0], **done) is Outcome.OK
    assert await fetching.fetched(taken[0], **done) is Outcome.OK
    await queue.upkeep.reconcile(force=True)
    assert await fetching.depth() == 0
    held = await old.claim()
    assert held[0][0] == "task-2"
    assert await old.finish(held) == ["ok"]
    await nothing_is_left(queue, old, Current(queue, "new-worker"))


async def test_a_task_with_an_option_of_the_next_release_is_worked_on_and_the_option_named(
    queue: Any,
) -> None:
    """An API of the next release submits it: without this, a claim fails on it again and again."""
    worker = Current(queue, "worker")
    await worker.join()
    task_id = await worker.submit("task")
    asked = {"language": "en", "volume": 3, "channels": "left"}
    queue.raw.hset(f"asr:task:{task_id}", "options", json.dumps(asked))
    held = await worker.claim()
    assert [i for i, _ in held] == [task_id]
    options = (await queue.producer.get(task_id)).options
    assert (options.language, options.channels) == ("en", "mix")
    assert set(options.unheeded({"language"}, ())) == {"volume", "channels"}
    assert await worker.finish(held) == ["ok"]
    await nothing_is_left(queue, worker, worker)
