"""What fails, fails alone; what is not the task's fault is not held against it."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pytest

from asr_core.errors import StoreUnavailable
from asr_core.store import Store
from asr_core.task import State, audio_path
from asr_worker.process.runtime import run_worker

pytestmark = pytest.mark.asyncio


async def test_a_corrupt_file_fails_at_once_and_its_neighbours_complete(
    platform: Any, demo: Any, wav: Any
) -> None:
    neighbours = [await platform.submit(wav(demo)) for _ in range(3)]
    corrupt = await platform.submit(b"RIFF" + bytes(range(256)) * 40)
    neighbours += [await platform.submit(wav(demo)) for _ in range(3)]
    async with platform.worker():
        task = await platform.until(corrupt, State.FAILED)
        for task_id in neighbours:
            await platform.done(task_id)
    assert task.error is not None
    assert (task.error.code, task.attempt) == ("unreadable_audio", 1)
    assert await platform.results(corrupt) == []


async def test_a_translation_fails_at_once_by_a_model_that_only_transcribes(
    platform: Any, demo: Any, wav: Any, engine_spy: Any
) -> None:
    """A transcript would be taken for it. What can be done without an option is done."""
    translation = await platform.submit(wav(demo), options={"task": "translate"})
    prompted = await platform.submit(wav(demo), options={"prompt": "Redis, kopf."})
    async with platform.worker():
        task = await platform.until(translation, State.FAILED)
        transcript = await platform.done(prompted)
    assert task.error is not None
    assert (task.error.code, task.attempt) == ("model_cannot_translate", 1)
    assert "The model 'embedded' of pool 'default' does not translate" in task.error.message
    assert await platform.results(translation) == []
    assert {s.options.task for b in engine_spy.batches for s in b} == {"transcribe"}
    assert transcript.options_ignored == ("prompt",)


async def test_a_task_whose_audio_is_gone_fails_at_once(platform: Any, demo: Any, wav: Any) -> None:
    task_id = await platform.submit(wav(demo))
    await platform.store.delete(audio_path(task_id))
    async with platform.worker():
        task = await platform.until(task_id, State.FAILED)
    assert task.error is not None
    assert (task.error.code, task.attempt) == ("audio_gone", 1)


async def test_a_batch_that_fails_costs_only_the_task_that_made_it_fail(
    platform: Any, demo: Any, wav: Any, engine_spy: Any
) -> None:
    quiet = demo * 0.25
    loud = np.abs(quiet).max() * 1.5
    engine_spy.fails_on = lambda s: bool(s.pcm.any()) and np.abs(s.pcm).max() < loud
    poison = await platform.submit(wav(quiet))
    mates = [await platform.submit(wav(demo)) for _ in range(4)]
    async with platform.worker(retry_limit=0):
        task = await platform.until(poison, State.FAILED)
        for task_id in mates:
            await platform.done(task_id)
    assert task.error is not None
    assert task.error.code == "engine_failed"
    assert {(await platform.producer.get(task_id)).attempt for task_id in mates} == {1}


async def test_a_broken_engine_ends_the_worker_and_the_next_one_does_the_work(
    platform: Any, demo: Any, wav: Any, engine_spy: Any
) -> None:
    working = asyncio.create_task(run_worker(platform.settings()))
    async with asyncio.timeout(60):
        while not await platform.reader.workers():
            await asyncio.sleep(0.02)
    engine_spy.fails_on = lambda _segment: True
    task_id = await platform.submit(wav(demo))
    assert await asyncio.wait_for(working, 30) == 1
    engine_spy.fails_on = lambda _segment: False
    async with platform.worker():
        await platform.done(task_id)
    task = await platform.producer.get(task_id)
    assert (task.crashes, task.transient_failures) == (1, 0)


async def test_a_store_that_is_away_for_a_moment_costs_no_attempt(
    platform: Any, demo: Any, wav: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    task_id = await platform.submit(wav(demo))
    put, refusals = Store.put, iter([StoreUnavailable("away"), StoreUnavailable("away")])

    async def flaky(self: Store, path: str, chunks: Any) -> int:
        for error in refusals:
            raise error
        return await put(self, path, chunks)

    monkeypatch.setattr(Store, "put", flaky)
    async with platform.worker():
        await platform.done(task_id)
    task = await platform.producer.get(task_id)
    assert (task.attempt, task.transient_failures) == (1, 0)
    assert next(refusals, None) is None


async def test_a_full_disk_is_tried_again(
    platform: Any, demo: Any, wav: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from asr_worker.attempts.store_access import StoreAccess

    download, refusals = StoreAccess.download, iter([OSError(28, "No space left on device")])

    async def full(self: StoreAccess, *arguments: Any) -> int:
        for error in refusals:
            raise error
        return await download(self, *arguments)

    monkeypatch.setattr(StoreAccess, "download", full)
    task_id = await platform.submit(wav(demo))
    async with platform.worker():
        await platform.done(task_id)
    task = await platform.producer.get(task_id)
    assert (task.attempt, task.transient_failures) == (2, 1)
