"""Cancelled, killed, stopped, cut off from Redis: one visible result, and nothing is lost."""

from __future__ import annotations

import asyncio
import signal
import time
from typing import Any

import pytest
from structlog.testing import capture_logs

from asr_core.task import State
from asr_worker.process.runtime import run_worker

pytestmark = pytest.mark.asyncio


async def test_a_cancelled_task_is_dropped_in_mid_run_and_leaves_no_result(
    platform: Any, demo: Any, wav: Any, long_wav: bytes, engine_spy: Any
) -> None:
    task_id = await platform.submit(long_wav)
    engine_spy.hold(after=2)
    async with platform.worker(batch_size=20):
        await platform.progressing(task_id)
        with capture_logs() as logs:
            await platform.producer.cancel(task_id)
            async with asyncio.timeout(10):
                while not any(log["event"] == "task lost" for log in logs):
                    await asyncio.sleep(0.02)
        neighbour = await platform.submit(wav(demo))
        engine_spy.released.set()
        await platform.done(neighbour)
        # The one that was held, perhaps the one prepared behind it, and the neighbour's.
        assert len(engine_spy.batches) <= 5
    assert (await platform.producer.get(task_id)).state is State.CANCELLED
    assert await platform.results(task_id) == []


async def test_the_task_of_a_killed_worker_is_done_by_another_within_forty_seconds(
    platform: Any, long_wav: bytes
) -> None:
    task_id = await platform.submit(long_wav)
    first = platform.process(batch_size=20)
    await platform.progressing(task_id)
    async with platform.worker():
        first.send_signal(signal.SIGKILL)
        killed_at = time.monotonic()
        await platform.done(task_id)
        assert time.monotonic() - killed_at < 40
        # The second worker also swept what the first one left on the disk.
        assert len(list((platform.folder / "work").iterdir())) <= 2
    task = await platform.producer.get(task_id)
    assert (task.attempt, task.crashes) == (2, 1)
    assert await platform.swept_results(task_id) == [task.result]


async def test_a_worker_that_was_stopped_past_its_lease_changes_nothing_when_it_goes_on(
    platform: Any, long_wav: bytes
) -> None:
    task_id = await platform.submit(long_wav)
    first = platform.process(batch_size=20)
    await platform.progressing(task_id)
    first.send_signal(signal.SIGSTOP)
    async with platform.worker():
        result = await platform.done(task_id)
    first.send_signal(signal.SIGCONT)
    log = platform.folder / "worker-0.log"
    async with asyncio.timeout(20):
        while "task lost" not in log.read_text() and "result refused" not in log.read_text():
            await asyncio.sleep(0.05)
    first.send_signal(signal.SIGTERM)
    assert await asyncio.to_thread(first.wait, 30) == 0
    task = await platform.producer.get(task_id)
    assert task.attempt == 2
    assert await platform.swept_results(task_id) == [task.result]
    assert await platform.done(task_id) == result


async def test_sigterm_hands_back_at_once_and_refunds_the_attempt(
    platform: Any, long_wav: bytes
) -> None:
    task_id = await platform.submit(long_wav)
    process = platform.process(batch_size=20)
    await platform.progressing(task_id)
    process.send_signal(signal.SIGTERM)
    asked_at = time.monotonic()
    task = await platform.until(task_id, State.QUEUED, State.COMPLETED, seconds=30)
    assert (task.state, task.attempt, task.crashes) == (State.QUEUED, 0, 0)
    assert time.monotonic() - asked_at < platform.settings().lease_seconds
    assert await asyncio.to_thread(process.wait, 30) == 0
    assert list((platform.folder / "work").iterdir()) == []


async def test_a_draining_worker_finishes_what_fits_in_its_grace_period(
    platform: Any, demo: Any, wav: Any, engine_spy: Any
) -> None:
    engine_spy.hold()
    task_id = await platform.submit(wav(demo))
    async with platform.worker(grace_seconds=20.0) as stop:
        await asyncio.to_thread(engine_spy.entered.wait, 60)
        stop.set()
        late = await platform.submit(wav(demo))
        engine_spy.released.set()
        await platform.done(task_id)
    assert (await platform.producer.get(late)).state is State.QUEUED


async def test_a_redis_that_is_killed_and_comes_back_costs_no_task(
    platform_on: Any, private_redis: Any, long_wav: bytes, demo: Any, wav: Any, engine_spy: Any
) -> None:
    redis = private_redis("--appendfsync", "always")
    platform = await platform_on(redis)
    engine_spy.hold(after=2)
    async with platform.worker(batch_size=20):
        task_id = await platform.submit(long_wav)
        await platform.progressing(task_id)
        with capture_logs() as logs:
            redis.kill()
            async with asyncio.timeout(20):
                while not any(log["event"] == "task lost" for log in logs):
                    await asyncio.sleep(0.02)
        engine_spy.released.set()
        redis.start()
        short = await platform.submit(wav(demo))
        await platform.done(short)
        await platform.done(task_id)
    task = await platform.producer.get(task_id)
    assert await platform.swept_results(task_id) == [task.result]
    assert task.transient_failures == 0


async def test_a_cancelled_worker_hands_everything_back_whatever_its_engine_does(
    platform: Any, demo: Any, wav: Any, engine_spy: Any
) -> None:
    engine_spy.hold()
    task_id = await platform.submit(wav(demo))
    working = asyncio.create_task(run_worker(platform.settings(grace_seconds=60)))
    assert await asyncio.to_thread(engine_spy.entered.wait, 60)
    working.cancel()
    with pytest.raises(asyncio.CancelledError):
        await working
    task = await platform.producer.get(task_id)
    assert (task.state, task.attempt) == (State.QUEUED, 0)
    assert await platform.reader.workers() == []
