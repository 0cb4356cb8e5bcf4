"""Sweeping blobs: only what is certainly nobody's."""

import asyncio
import os
import time
from pathlib import Path
from typing import Any

import pytest

from asr_core.lifecycle.orphan_sweep import Sweep, SweepRefused
from asr_core.queue import Loss, OrphanIndex
from asr_core.store import Store
from asr_core.task import audio_path, result_path

pytestmark = pytest.mark.asyncio


async def filled(queue: Any, folder: Path, tasks: int) -> tuple[Sweep, Store, list[str]]:
    store = Store.open(folder.as_uri())
    sweep = Sweep(OrphanIndex(queue.connection), store)
    await sweep.mark()
    ids = await queue.submit(tasks)
    for task_id in ids:
        await store.put(audio_path(task_id), b"audio")
    return sweep, store, ids


async def paths(store: Store) -> set[str]:
    return {blob.path async for blob in store.list("")} - {"epoch"}


async def test_blobs_without_a_task_and_results_of_stale_attempts_are_swept(
    queue: Any, tmp_path: Path
) -> None:
    sweep, store, ids = await filled(queue, tmp_path, 3)
    await store.put(audio_path("never-submitted"), b"x")
    consumer = await queue.consumer()
    claims = await queue.claim(consumer)
    await store.put(result_path(ids[0], 1), b"{}")
    await store.put(result_path(ids[0], 7), b"{}")
    await store.put(result_path(ids[1], 1), b"{}")
    await queue.finish(consumer, claims[0])
    before = await paths(store)
    dry = await sweep.run(min_age_seconds=0, dry_run=True)
    assert (dry.orphans, dry.deleted) == (2, 0)
    assert await paths(store) == before
    assert (await sweep.run(min_age_seconds=0)).deleted == 2
    assert before - await paths(store) == {audio_path("never-submitted"), result_path(ids[0], 7)}


async def test_young_blobs_are_left_alone(queue: Any, tmp_path: Path) -> None:
    sweep, store, _ = await filled(queue, tmp_path, 1)
    await store.put(audio_path("upload-under-way"), b"x")
    assert (await sweep.run()).orphans == 0


async def test_an_empty_redis_never_makes_every_blob_an_orphan(queue: Any, tmp_path: Path) -> None:
    sweep, store, _ = await filled(queue, tmp_path, 5)
    before = await paths(store)
    queue.raw.flushall()
    with pytest.raises(SweepRefused, match="adopt-store"):
        await sweep.run(min_age_seconds=0)
    assert await paths(store) == before
    await sweep.mark(adopt=True)
    assert (await sweep.run(min_age_seconds=0, dry_run=True)).orphans == 5


async def test_a_store_with_blobs_and_no_marker_is_not_swept(queue: Any, tmp_path: Path) -> None:
    store = Store.open(tmp_path.as_uri())
    await store.put(audio_path("old"), b"x")
    with pytest.raises(SweepRefused):
        await Sweep(OrphanIndex(queue.connection), store).run(min_age_seconds=0)


async def test_pods_that_mark_a_fresh_pair_at_once_agree(queue: Any, tmp_path: Path) -> None:
    store = Store.open(tmp_path.as_uri())
    pods = [Sweep(OrphanIndex(queue.connection), store) for _ in range(10)]
    await asyncio.gather(*(pod.mark() for pod in pods))
    assert (await store.get("epoch")).decode() == queue.raw.get("asr:epoch")
    assert (await pods[0].run()).seen == 0


async def test_many_orphans_at_once_stop_the_pass(queue: Any, tmp_path: Path) -> None:
    sweep, store, _ = await filled(queue, tmp_path, 20)
    for number in range(11):
        await store.put(audio_path(f"lost-{number}"), b"x")
    with pytest.raises(SweepRefused, match="11 of 31"):
        await sweep.run(min_age_seconds=0)
    assert len(await paths(store)) == 31


def age(folder: Path, task_id: str, hours: float) -> None:
    at = time.time() - 3600 * hours
    os.utime(folder / audio_path(task_id), (at, at))


async def test_a_dry_run_counts_also_where_a_sweep_is_refused(queue: Any, tmp_path: Path) -> None:
    sweep, _, _ = await filled(queue, tmp_path, 5)
    queue.raw.flushall()
    assert (await sweep.run(min_age_seconds=0, dry_run=True)).orphans == 5


async def test_a_redis_that_is_emptied_in_the_middle_of_a_pass_costs_no_blob(
    queue: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweep, store, _ = await filled(queue, tmp_path, 5)
    before = await paths(store)
    pointers = OrphanIndex.pointers

    async def after_a_flush(self: OrphanIndex, task_ids: list[str]) -> Any:
        queue.raw.flushall()
        return await pointers(self, task_ids)

    monkeypatch.setattr(OrphanIndex, "pointers", after_a_flush)
    with pytest.raises(SweepRefused, match="Redis none"):
        await sweep.run(min_age_seconds=0)
    assert await paths(store) == before


async def test_a_restored_older_redis_does_not_lose_its_blobs_in_slices(
    queue: Any, tmp_path: Path
) -> None:
    """Each hour a few of them become a day old: fewer than any pass may delete."""
    sweep, store, ids = await filled(queue, tmp_path, 40)
    for number, task_id in enumerate(ids):
        age(tmp_path, task_id, 25 if number < 5 else 2)
    for task_id in ids[:30]:
        queue.raw.delete(f"asr:task:{task_id}")
    with pytest.raises(SweepRefused, match="30 of 40") as refused:
        await sweep.run()
    assert refused.value.loss is Loss.TOO_MANY_ORPHANS
    assert len(await paths(store)) == 40


async def test_adopting_makes_it_quiet_and_gives_a_day_to_think_again(
    queue: Any, tmp_path: Path
) -> None:
    sweep, store, ids = await filled(queue, tmp_path, 20)
    for task_id in ids:
        age(tmp_path, task_id, 48)
    queue.raw.flushall()
    await sweep.mark(adopt=True)
    assert (await sweep.run(automatic=True)).deleted == 0
    assert (await sweep.run(dry_run=True)).orphans == 20
    sweeping = OrphanIndex(queue.connection)
    assert (await sweeping.orphaned_blobs()).recordings == 20
    await sweeping.adopt(time.time() - 25 * 3600)
    assert (await sweep.run(automatic=True)).deleted == 20
    assert await paths(store) == set()


async def test_a_loss_is_noticed_by_one_pod_and_seen_by_all(queue: Any, tmp_path: Path) -> None:
    sweep, store, ids = await filled(queue, tmp_path, 3)
    await store.put(result_path(ids[0], 1), b"{}")
    queue.raw.flushall()
    pods = [Sweep(OrphanIndex(queue.connection), store) for _ in range(5)]
    told = await asyncio.gather(*(pod.record_loss(Loss.APART) for pod in pods))
    [strays] = [one for one in told if one is not None]
    assert (strays.recordings, strays.results, strays.loss) == (3, 1, Loss.APART)
    assert await OrphanIndex(queue.connection).orphaned_blobs() == strays
    assert await sweep.record_loss(Loss.APART) is None
    await sweep.mark(adopt=True)
    assert (await OrphanIndex(queue.connection).orphaned_blobs()).loss is None


async def test_a_loss_is_over_once_the_right_store_is_back(queue: Any, tmp_path: Path) -> None:
    sweep, _, _ = await filled(queue, tmp_path / "right", 1)
    wrong = Store.open((tmp_path / "wrong").as_uri())
    await wrong.put("epoch", b"another")
    mistaken = Sweep(OrphanIndex(queue.connection), wrong)
    with pytest.raises(SweepRefused):
        await mistaken.mark()
    assert await mistaken.record_loss(Loss.APART)
    await sweep.mark()
    assert (await OrphanIndex(queue.connection).orphaned_blobs()).loss is None
