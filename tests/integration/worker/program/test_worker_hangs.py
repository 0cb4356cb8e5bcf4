"""A worker that stands still ends itself; what made it stand still ends among the dead letters."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from asr_core.task import State
from asr_worker.process.watchdog import EXIT_CODE

pytestmark = pytest.mark.asyncio
QUICK = {"lease_seconds": 1.0, "progress_deadline_seconds": 2.0}


@pytest.mark.parametrize(
    ("fault", "status", "last_words"),
    [
        ("hang", EXIT_CODE, "the engine has not come back from a batch"),
        ("block the loop", EXIT_CODE, "the event loop has not moved"),
        ("hang with the lock", 1, "Timeout (0:00:03)!"),
    ],
)
async def test_a_worker_whose_engine_or_event_loop_hangs_ends_and_another_takes_the_task(
    platform: Any, level: Any, fault: str, status: int, last_words: str
) -> None:
    task_id = await platform.submit(level(0.9))
    stuck = platform.toy(faults={"0.9": fault}, **QUICK)
    assert await stuck.ended() == status
    assert last_words in stuck.log.read_text()
    platform.toy(**QUICK)
    await platform.done(task_id)
    task = await platform.producer.get(task_id)
    # More than one where a busy machine keeps a healthy worker from renewing such a short lease.
    assert task.crashes >= 1
    assert await platform.swept_results(task_id) == [task.result]


@pytest.mark.parametrize("fault", ["hang", "die"])
async def test_a_poison_file_dies_alone_three_times_and_its_batch_mates_complete(
    platform: Any, level: Any, fault: str
) -> None:
    mates = [await platform.submit(level(0.3)) for _ in range(3)]
    poison = await platform.submit(level(0.9))
    mates += [await platform.submit(level(0.4)) for _ in range(3)]
    if fault == "hang":  # each takes its time: the first of the five is left out
        with platform.raw() as raw:
            raw.hset(f"asr:task:{poison}", mapping={"crashes": 1, "attempt": 1})
    parent = platform.toy(faults={"0.9": fault}, worker_count=2, **QUICK)
    task = await platform.until(poison, State.FAILED, seconds=60)
    # Twice in company, then three times alone.
    assert (task.attempt, task.crashes, task.solo_crashes) == (5, 5, 3)
    assert task.error.code == "worker_crashed"
    with platform.raw() as raw:
        assert [entry["task_id"] for _, entry in raw.xrange("asr_tasks:dead")] == [poison]
    for task_id in mates:
        await platform.done(task_id)

    if fault == "die":
        parent.terminate()
        assert await parent.ended() == 0
        await platform.producer.redrive(poison)
        platform.toy()
        await platform.done(poison)
        with platform.raw() as raw:
            assert raw.xlen("asr_tasks:dead") == 0
        assert (await platform.producer.get(poison)).crashes == 0


async def test_a_free_worker_takes_what_must_run_alone_while_another_empties_itself(
    platform: Any, level: Any
) -> None:
    gate = platform.folder / "gate"
    long = await platform.submit(level(0.5))
    alone = await platform.submit(level(0.3))
    with platform.raw() as raw:
        raw.hset(f"asr:task:{alone}", "crashes", 2)
        busy = platform.toy(
            faults={"0.5": "gate"}, gate=gate, worker_name="busy", lease_seconds=20.0
        )
        async with asyncio.timeout(20):
            while raw.get("asr:solo_turn:default") is None:
                await asyncio.sleep(0.02)
    assert (await platform.producer.get(long)).worker == "busy"
    platform.toy(worker_name="free", lease_seconds=20.0)
    await platform.done(alone)
    assert (await platform.producer.get(alone)).worker == "free"
    gate.touch()
    await platform.done(long)
    assert busy.poll() is None
