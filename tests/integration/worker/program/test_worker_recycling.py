"""Worker processes that give way to fresh ones, under a parent: no crash, no attempt, no alarm."""

from __future__ import annotations

import asyncio
import os
import re
import signal
from typing import Any

import pytest

from asr_core.task import State

pytestmark = pytest.mark.asyncio
MIB = 1024**2
CALM = {"lease_seconds": 60.0, "grace_seconds": 30.0}


@pytest.mark.parametrize("processes", [1, 2])
async def test_a_worker_gives_way_after_so_many_tasks_and_nobody_notices(
    platform: Any, level: Any, processes: int
) -> None:
    ids = [await platform.submit(level(0.3)) for _ in range(16)]
    worker = platform.toy(
        batch_seconds=0.2,
        max_tasks_per_process=3,
        max_tasks_in_hand=3,
        worker_count=processes,
        **CALM,
    )
    for task_id in ids:
        await platform.done(task_id)
        assert (await platform.producer.get(task_id)).attempt == 1
    log = await worker.said("a fresh worker process starts", times=2)
    assert '"reason": "tasks"' in log
    assert '"error"' not in log
    [name] = {"worker"} if processes == 1 else {"worker-0"}
    assert f'"worker": "{name}"' in log
    worker.send_signal(signal.SIGTERM)
    assert await worker.ended() == 0


async def test_a_worker_that_leaks_gives_way_with_its_long_task_done(
    platform: Any, level: Any
) -> None:
    """The first leaks 32 MiB with each batch of its recording; that is finished all the same."""
    worker = platform.toy(
        faults={"0.7": "leak"}, batch_size=30.0, max_memory_bytes=300 * MIB, **CALM
    )
    await platform.done(await platform.submit(level(0.3)))
    leaking = await platform.submit(level(0.7, seconds=300.0))
    await platform.done(leaking)
    log = await worker.said("a fresh worker process starts")
    assert '"reason": "memory"' in log
    assert int(re.findall(r'"memory_bytes": (\d+)', log)[0]) >= 300 * MIB
    assert (await platform.producer.get(leaking)).attempt == 1
    await platform.done(await platform.submit(level(0.3)))


async def test_a_bound_below_what_a_fresh_worker_needs_is_an_error_and_no_loop_of_restarts(
    platform: Any, level: Any
) -> None:
    worker = platform.toy(max_memory_bytes=10 * MIB, **CALM)
    for _ in range(3):
        await platform.done(await platform.submit(level(0.3)))
    log = worker.log.read_text()
    assert log.count("ASR_MAX_MEMORY_BYTES does not apply") == 1
    assert log.count("engine ready") == 1


async def test_a_single_worker_with_a_parent_ends_as_it_would_alone(
    platform: Any, level: Any
) -> None:
    """Who starts it again after a crash (Kubernetes, systemd, `asr up`) sees the crash."""
    poison = await platform.submit(level(0.9))
    worker = platform.toy(faults={"0.9": "die"}, max_tasks_per_process=100, **CALM)
    assert await worker.ended() == 128 + signal.SIGKILL
    assert (await platform.producer.get(poison)).state is State.PROCESSING


async def test_a_signal_while_it_gives_way_shortens_that_to_the_grace_period(
    platform: Any, level: Any
) -> None:
    gated = await platform.submit(level(0.5))
    worker = platform.toy(
        faults={"0.5": "gate"}, max_tasks_per_process=1, max_tasks_in_hand=2,
        lease_seconds=60.0, grace_seconds=1.0,
    )  # fmt: skip
    await platform.until(gated, State.PROCESSING)
    corrupt = await platform.submit(b"no audio", duration_seconds=1.0)
    await platform.until(corrupt, State.FAILED)
    await worker.said("no more claims")
    left_over = await platform.submit(level(0.3))

    async def is_left() -> bool:
        return (await platform.producer.get(left_over)).state is State.QUEUED

    await platform.stays(is_left, seconds=1.5)
    worker.send_signal(signal.SIGTERM)
    assert await worker.ended(seconds=20) == 0
    for task_id in (gated, left_over):
        task = await platform.producer.get(task_id)
        assert (task.state, task.attempt) == (State.QUEUED, 0)


async def test_the_worker_of_a_parent_that_was_killed_drains(platform: Any, level: Any) -> None:
    worker = platform.toy(max_tasks_per_process=100, **CALM)
    await platform.done(await platform.submit(level(0.3)))
    children = worker.children()
    worker.kill()
    await worker.said("the parent process is gone")
    async with asyncio.timeout(20):
        while any(os.path.exists(f"/proc/{pid}") for pid in children):
            await asyncio.sleep(0.02)
    assert await platform.reader.workers() == []
