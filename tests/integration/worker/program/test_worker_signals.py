"""SIGTERM to a real process: nothing new is claimed, what is in hand is finished or handed back."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from contextlib import suppress
from typing import Any

import pytest

from asr_core.task import State

pytestmark = pytest.mark.asyncio
# Only the worker hands tasks back here: no lease runs out.
CALM = {"lease_seconds": 60.0}


async def test_sigterm_under_load_finishes_what_is_in_hand_and_claims_nothing_more(
    platform: Any, level: Any
) -> None:
    ids = [await platform.submit(level(0.5)) for _ in range(40)]
    gate = platform.folder / "gate"
    worker = platform.toy(
        faults={"0.5": "gate"}, gate=gate, max_tasks_in_hand=8, grace_seconds=30.0, **CALM
    )
    await platform.until(ids[0], State.PROCESSING)
    with platform.raw() as raw:
        async with asyncio.timeout(20):
            while raw.zcard("asr:leases:default:normal") < 8:
                await asyncio.sleep(0.02)
    worker.send_signal(signal.SIGTERM)
    await worker.said("draining")
    gate.touch()
    assert await worker.ended() == 0
    tasks = [await platform.producer.get(task_id) for task_id in ids]
    assert [task.state for task in tasks].count(State.COMPLETED) == 8
    waiting = [task for task in tasks if task.state is State.QUEUED]
    assert len(waiting) == 32
    assert {task.attempt for task in waiting} == {0}
    assert await platform.reader.workers() == []


async def test_a_task_longer_than_the_grace_period_is_handed_back_with_its_attempt_refunded(
    platform: Any, level: Any
) -> None:
    gate = platform.folder / "gate"
    task_id = await platform.submit(level(0.5))
    worker = platform.toy(faults={"0.5": "gate"}, gate=gate, grace_seconds=1.0, **CALM)
    await platform.until(task_id, State.PROCESSING)
    worker.send_signal(signal.SIGTERM)
    asked_at = time.monotonic()
    task = await platform.until(task_id, State.QUEUED)
    assert (task.attempt, task.crashes) == (0, 0)
    assert await worker.ended(seconds=15) == 0
    assert time.monotonic() - asked_at < 10
    gate.touch()
    platform.toy(faults={"0.5": "gate"}, gate=gate, **CALM)
    await platform.done(task_id)
    task = await platform.producer.get(task_id)
    assert (task.attempt, task.crashes) == (1, 0)
    assert await platform.results(task_id) == [task.result]


@pytest.mark.parametrize("processes", [1, 2])
async def test_a_second_sigterm_hands_everything_back_at_once(
    platform: Any, level: Any, processes: int
) -> None:
    ids = [await platform.submit(level(0.5)) for _ in range(2)]
    worker = platform.toy(
        faults={"0.5": "gate"},
        max_tasks_in_hand=1,
        worker_count=processes,
        grace_seconds=60.0,
        **CALM,
    )
    for task_id in ids[:processes]:
        await platform.until(task_id, State.PROCESSING)
    # A signal that comes twice within two seconds is one request.
    worker.send_signal(signal.SIGTERM)
    worker.send_signal(signal.SIGINT)
    log = await worker.said("draining", times=processes)
    assert "second signal" not in log
    async with asyncio.timeout(15):
        while worker.log.read_text().count("second signal") < processes:
            worker.send_signal(signal.SIGTERM)
            with suppress(TimeoutError):
                await worker.said("second signal", times=processes, seconds=0.5)
    asked_at = time.monotonic()
    assert await worker.ended(seconds=15) == 0
    assert time.monotonic() - asked_at < 10
    for task_id in ids:
        task = await platform.producer.get(task_id)
        assert (task.state, task.attempt, task.crashes) == (State.QUEUED, 0, 0)


async def test_a_signal_to_the_whole_group_is_one_request_to_drain(
    platform: Any, level: Any
) -> None:
    """As Ctrl-C at a terminal: parent, workers and decoders get it, and the parent passes it on."""
    gate = platform.folder / "gate"
    ids = [await platform.submit(level(0.5)) for _ in range(2)]
    parent = platform.toy(
        faults={"0.5": "gate"},
        gate=gate,
        max_tasks_in_hand=1,
        worker_count=2,
        grace_seconds=30.0,
        **CALM,
    )
    for task_id in ids:
        await platform.until(task_id, State.PROCESSING)
    for pid in [*parent.children(), parent.pid]:
        signal.pidfd_send_signal(pidfd := os.pidfd_open(pid), signal.SIGINT)
        os.close(pidfd)
    await parent.said("draining", times=2)
    gate.touch()
    assert await parent.ended() == 0
    assert "second signal" not in parent.log.read_text()
    for task_id in ids:
        assert (await platform.producer.get(task_id)).attempt == 1
        await platform.done(task_id)


async def test_sigterm_while_redis_is_away_still_ends_the_worker_soon(
    platform_on: Any, private_redis: Any, level: Any
) -> None:
    redis = private_redis()
    platform = await platform_on(redis)
    task_id = await platform.submit(level(0.5))
    worker = platform.toy(faults={"0.5": "gate"}, grace_seconds=1.0, timeout_seconds=1.0, **CALM)
    await platform.until(task_id, State.PROCESSING)
    redis.kill()
    worker.send_signal(signal.SIGTERM)
    asked_at = time.monotonic()
    assert await worker.ended(seconds=30) == 0
    # The grace period, and five seconds for the last words; see `drain`.
    assert time.monotonic() - asked_at < 15
