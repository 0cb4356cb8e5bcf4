"""A decoder dies alone: its file is tried again and fails in the end; worker and mates go on."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from asr_core.task import State

pytestmark = pytest.mark.asyncio


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ("segfault", "SIGSEGV"),
        ("die", "SIGKILL"),
        ("fill memory", "ran out of memory"),
        ("hang", "no progress for 2.5 s"),
    ],
)
async def test_a_decoder_that_dies_costs_one_file_a_try_and_nobody_else_anything(
    platform: Any, level: Any, fault: str, says: str
) -> None:
    before = [await platform.submit(level(0.3)) for _ in range(3)]
    # The fault is committed before a byte is decoded; that there is no audio in it does not matter.
    poison = await platform.submit(b"POISON" + bytes(1000), duration_seconds=1.0)
    after = [await platform.submit(level(0.4)) for _ in range(3)]
    worker = platform.toy(
        faults={"POISON": fault},
        retry_limit=1,
        progress_deadline_seconds=5.0 if fault == "hang" else 600.0,
        lease_seconds=20.0,
        decode_processes=2,
    )
    task = await platform.until(poison, State.FAILED)
    assert (task.attempt, task.crashes, task.transient_failures) == (2, 0, 1)
    assert task.error.code == "decoder_crashed"
    assert says in task.error.message
    for task_id in before + after:
        await platform.done(task_id)
        assert (await platform.producer.get(task_id)).attempt == 1
    with platform.raw() as raw:
        assert [entry["task_id"] for _, entry in raw.xrange("asr_tasks:dead")] == [poison]
    worker.terminate()
    assert await worker.ended() == 0
    assert list((platform.folder / "work").iterdir()) == []


async def test_decoders_end_with_their_worker_even_while_they_hang(
    platform: Any, level: Any
) -> None:
    poison = await platform.submit(b"POISON" + bytes(1000), duration_seconds=1.0)
    worker = platform.toy(faults={"POISON": "hang"}, decode_processes=2)
    await platform.until(poison, State.PROCESSING)
    async with asyncio.timeout(20):
        while len(decoders := [pid for pid in worker.children() if _is_decoder(pid)]) < 3:
            await asyncio.sleep(0.02)
        # As systemd does to a whole group, while the worker may still want files decoded.
        while not all(_ignores(pid, signal.SIGTERM) for pid in decoders):
            await asyncio.sleep(0.02)
    for pid in decoders:
        os.kill(pid, signal.SIGTERM)
    assert all(_is_decoder(pid) for pid in decoders)
    worker.kill()
    async with asyncio.timeout(10):
        while any(_is_decoder(pid) for pid in decoders):
            await asyncio.sleep(0.02)


async def test_a_cancelled_file_gives_its_decoder_back(platform: Any, level: Any) -> None:
    """A hanging decoder would otherwise be lost for the whole stall time, here five minutes."""
    poison = await platform.submit(b"POISON" + bytes(1000), duration_seconds=1.0)
    platform.toy(faults={"POISON": "hang"}, decode_processes=1)
    async with asyncio.timeout(20):
        while not (platform.folder / "hanging").exists():
            await asyncio.sleep(0.02)
    await platform.producer.cancel(poison)
    await platform.done(await platform.submit(level(0.3)), seconds=30)


def _is_decoder(pid: int) -> bool:
    """It lives."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        line = Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return False
    return state != "Z" and "\0decoder\0" in line


def _ignores(pid: int, number: signal.Signals) -> bool:
    status = Path(f"/proc/{pid}/status").read_text()
    mask = int(status.partition("SigIgn:")[2].split()[0], 16)
    return bool(mask & 1 << (number - 1))
