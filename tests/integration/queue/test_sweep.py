"""Sweeping blobs: only what is certainly nobody's."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from asr_core.queue import Sweeping
from asr_core.store import Store
from asr_core.sweep import Sweep, SweepRefused
from asr_core.task import audio_path, result_path

pytestmark = pytest.mark.asyncio


async def filled(queue: Any, folder: Path, tasks: int) -> tuple[Sweep, Store, list[str]]:
    store = Store.open(folder.as_uri())
    sweep = Sweep(Sweeping(queue.connection), store)
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
        await Sweep(Sweeping(queue.connection), store).run(min_age_seconds=0)


async def test_pods_that_mark_a_fresh_pair_at_once_agree(queue: Any, tmp_path: Path) -> None:
    store = Store.open(tmp_path.as_uri())
    pods = [Sweep(Sweeping(queue.connection), store) for _ in range(10)]
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
