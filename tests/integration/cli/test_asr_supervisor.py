"""What `asr up` does with programs that end, each a real process."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest

from asr_cli.local import supervisor
from asr_cli.local.process import Program

pytestmark = pytest.mark.asyncio
# Each life leaves a line; the lives before the last end as they are told.
LIVES = """
import sys, time
from pathlib import Path
file, *ends = sys.argv[1:]
with open(file, "a") as lives:
    lives.write("life\\n")
lived = Path(file).read_text().count("life")
if lived <= len(ends):
    sys.exit(int(ends[lived - 1]))
time.sleep(1000)
"""


async def _lives(folder: Path, *ends: int) -> list[str]:
    """What is announced until a program lives that before has ended like this."""
    said: list[str] = []
    (folder / "lives").touch()
    watched = supervisor.Supervisor(said.append)
    arguments = (sys.executable, "-c", LIVES, str(folder / "lives"), *map(str, ends))
    program = Program("worker-1", arguments, os.environ, folder / "log", 5.0, essential=False)
    await watched.start([program])
    watching = asyncio.create_task(watched.watch())
    try:
        async with asyncio.timeout(30):
            while (folder / "lives").read_text().count("life") <= len(ends):
                await asyncio.sleep(0.02)
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        await watched.kill()
    return said


async def test_a_worker_that_gave_way_is_started_again_at_once_and_without_an_alarm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "PLANNED_LEAST_SECONDS", 0.0)
    monkeypatch.setattr(supervisor, "RESTART_FIRST_SECONDS", 1000.0)
    monkeypatch.setattr(supervisor, "RESTART_MOST_SECONDS", 1000.0)
    assert await _lives(tmp_path, 0, 0, 0) == ["worker-1 ended normally; starting a new one"] * 3


async def test_a_worker_that_crashed_or_ends_at_once_is_announced_and_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "RESTART_FIRST_SECONDS", 0.01)
    monkeypatch.setattr(supervisor, "RESTART_MOST_SECONDS", 0.02)
    log = tmp_path / "log"
    assert await _lives(tmp_path, 70, 0) == [
        f"worker-1 ended with status 70; restarting in 0.01 s (log: {log})",
        f"worker-1 ended with status 0; restarting in 0.02 s (log: {log})",
    ]
