"""Retention among others: retries at the same time, passes that break off, outages."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest

from asr_core.errors import AudioGone, StoreUnavailable, TaskNotFound
from asr_core.lifecycle.retention import Retention
from asr_core.queue import OrphanIndex
from asr_core.queue.retention_index import RetentionIndex
from asr_core.retention_policy import RetentionPolicy, TaskSnapshot
from asr_core.store import Store
from asr_core.task import State, audio_path

pytestmark = pytest.mark.asyncio

CHANCE = random.Random(3)


class Interrupted(RetentionIndex):
    """Lets something happen just before tasks are marked."""

    before: Callable[[], Awaitable[Any]]

    async def discard(self, tasks: Sequence[TaskSnapshot]) -> list[TaskSnapshot]:
        await self.before()
        return await super().discard(tasks)


def interrupted(keep: Any, before: Callable[[], Awaitable[Any]], **limits: Any) -> Retention:
    keeping = Interrupted(keep.queue.connection)
    keeping.before = before
    sweeping = OrphanIndex(keep.queue.connection)
    return Retention(keeping, sweeping, keep.store, RetentionPolicy(**limits))


async def retry(keep: Any, task_id: str) -> bool:
    """Whether it was queued again."""
    try:
        await keep.queue.producer.retry(task_id)
    except (AudioGone, TaskNotFound):
        return False
    return True


@pytest.mark.parametrize(
    ("state", "limits"),
    [(State.CANCELLED, {"max_recordings": 0}), (State.FAILED, {"results_max_age_ms": 0})],
)
async def test_a_retry_at_the_same_time_never_ends_in_a_queued_task_without_audio(
    keep: Any, state: State, limits: dict[str, int]
) -> None:
    seen = {True: 0, False: 0}
    for number in range(40):
        tasks = [await keep.add(state) for _ in range(4)]
        delays = [CHANCE.uniform(0, 0.008) for _ in tasks]

        async def later(task_id: str, delay_seconds: float) -> bool:
            await asyncio.sleep(delay_seconds)
            return await retry(keep, task_id)

        _, *queued = await asyncio.gather(keep.run(**limits), *map(later, tasks, delays))
        for task_id, is_queued in zip(tasks, queued, strict=True):
            seen[is_queued] += 1
            if is_queued:
                assert (await keep.queue.producer.get(task_id)).state is State.QUEUED, number
                assert await keep.store.get(audio_path(task_id)) == b"abc", number
                await keep.queue.producer.delete(task_id)
                await keep.store.delete(audio_path(task_id))
            else:
                assert task_id not in keep.recordings(), number
    assert min(seen.values()) > 0, "both orders must come up"
    assert (await keep.queue.backlog()).waiting == 0


async def test_a_task_retried_after_it_was_looked_at_is_left_alone(keep: Any) -> None:
    task_id = await keep.add(State.CANCELLED)
    told = await interrupted(keep, lambda: retry(keep, task_id), max_recordings=0).run()
    assert told.recordings_deleted == 0
    assert keep.recordings() == {task_id}
    assert (await keep.queue.producer.get(task_id)).audio_deleted_at is None


async def test_a_task_that_ran_and_ended_again_after_it_was_looked_at_is_left_alone(
    keep: Any,
) -> None:
    """It is as young as its last end."""
    task_id = await keep.add(State.FAILED, age_seconds=3600)

    async def runs_again() -> None:
        await keep.queue.producer.retry(task_id)
        await keep.end(task_id, State.COMPLETED)

    told = await interrupted(keep, runs_again, results_max_age_ms=60_000).run()
    assert told.records_deleted == 0
    assert keep.recordings() == keep.results() == {task_id}


async def test_a_task_deleted_after_it_was_looked_at_is_no_error(keep: Any) -> None:
    task_id = await keep.add(State.COMPLETED)
    deleting = interrupted(keep, lambda: keep.queue.producer.delete(task_id), results_max_age_ms=0)
    told = await deleting.run()
    assert (told.records_deleted, told.problem) == (0, "")


async def test_what_a_pass_marked_before_it_died_is_deleted_by_the_next(keep: Any) -> None:
    class Killed(BaseException):
        pass

    async def die() -> None:
        raise Killed

    tasks = [await keep.add(State.CANCELLED) for _ in range(3)]
    dying = keep.retention(max_recordings=0)
    dying._store = Store.open(keep.store.url)
    dying._store.delete = lambda path: die()
    with pytest.raises(Killed):
        await dying.run()
    assert keep.recordings() == set(tasks)
    assert not await retry(keep, tasks[0]), "it was marked"
    told = await keep.run(max_recordings=10)
    assert told.recordings_deleted == 3
    assert keep.recordings() == set()
    assert keep.records() == set(tasks)


async def test_a_pass_may_break_off_anywhere(keep: Any) -> None:
    limits = {"max_recordings": 2, "results_max_age_ms": 600_000}
    broken_off = 0
    for _ in range(25):
        for state in (State.COMPLETED, State.CANCELLED, State.FAILED) * 2:
            await keep.add(state, age_seconds=CHANCE.choice((0, 3600)))
        one = asyncio.create_task(keep.run(**limits))
        await asyncio.sleep(CHANCE.uniform(0, 0.02))
        broken_off += one.cancel()
        await asyncio.gather(one, return_exceptions=True)
    assert broken_off > 5
    assert (await keep.run(**limits)).problem == ""
    told = await keep.run(**limits)
    assert (told.recordings_deleted, told.records_deleted, told.unknown) == (0, 0, 0)
    assert told.recordings_kept == len(keep.recordings())
    assert keep.results() <= keep.records()
    assert keep.recordings() <= keep.records()
    assert set(keep.queue.raw.zrange("asr:history:default", 0, -1)) == keep.records()


async def test_passes_at_the_same_time_do_no_harm(keep: Any) -> None:
    old = [await keep.add(State.COMPLETED, age_seconds=3600) for _ in range(30)]
    young = [await keep.add(State.COMPLETED) for _ in range(10)]
    limits = {"max_recordings": 4, "results_max_age_ms": 600_000}
    told = await asyncio.gather(*(keep.run(**limits) for _ in range(4)))
    assert [one.problem for one in told] == [""] * 4
    assert sum(one.records_deleted for one in told) == len(old)
    assert keep.records() == keep.results() == set(young)
    assert keep.recordings() == set(young[-4:])


async def test_a_file_that_cannot_be_deleted_is_an_error_and_stops_nothing_else(
    keep: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    stuck, *others = [await keep.add(State.COMPLETED) for _ in range(12)]
    delete = keep.store.delete

    async def all_but_one(path: str) -> None:
        if path == audio_path(stuck):
            raise StoreUnavailable("it is held")
        await delete(path)

    with monkeypatch.context() as patch:
        patch.setattr(keep.store, "delete", all_but_one)
        told = await keep.run(results_max_age_ms=0)
    assert (told.errors, told.records_deleted, told.stopped) == (1, len(others), "")
    assert "next pass" in told.problem
    assert keep.records() == keep.recordings() == keep.results() == {stuck}
    assert (await keep.run(results_max_age_ms=0)).records_deleted == 1
    assert keep.records() == keep.recordings() == set()


async def test_a_store_that_is_away_is_given_up_after_a_few_tries_and_nothing_is_lost(
    keep: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    tasks = {await keep.add(State.COMPLETED) for _ in range(40)}
    tries = []

    async def away(path: str) -> None:
        tries.append(path)
        await asyncio.sleep(0)
        raise StoreUnavailable("connection refused")

    with monkeypatch.context() as patch:
        patch.setattr(keep.store, "delete", away)
        told = await keep.run(results_max_age_ms=0, max_recordings=0)
    assert len(tries) < 15
    assert "in a row" in told.problem
    assert keep.records() == keep.recordings() == tasks
    assert (await keep.run(results_max_age_ms=0)).records_deleted == 40
    assert keep.records() == keep.recordings() == keep.results() == set()


async def test_a_redis_that_dies_in_the_middle_is_told_and_the_next_pass_goes_on(
    keep: Any, private_redis: Any, queue_on: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = private_redis("--appendfsync", "always")
    keep.queue = await queue_on(server.settings())
    tasks = {await keep.add(State.COMPLETED) for _ in range(10)}
    delete = keep.store.delete

    async def redis_dies(path: str) -> None:
        server.kill()
        await delete(path)

    with monkeypatch.context() as patch:
        patch.setattr(keep.store, "delete", redis_dies)
        told = await keep.run(results_max_age_ms=0)
    assert "Redis" in told.stopped
    assert keep.recordings() == set()
    server.start()
    assert keep.records() == tasks
    assert (await keep.run(results_max_age_ms=0)).records_deleted == 10
    assert keep.records() == set()
