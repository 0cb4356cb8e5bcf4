"""Several processes under one parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[4]
# Stands in for a worker: says that it runs, and ends when told to, as a drained worker does.
PROGRAM = """
import signal, sys, threading
from pathlib import Path
from asr_worker.settings import WorkerSettings
from asr_worker.process.supervisor import Supervisor, child_settings

def work(settings):
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    Path(settings.work_dir, f"{settings.worker_name}.{__import__('os').getpid()}").touch()
    ended.wait()

if __name__ == "__main__":
    settings = WorkerSettings(_env_file=None, work_dir=Path(sys.argv[1]), worker_name="w")
    sys.exit(Supervisor([child_settings(settings, n, "host") for n in range(2)], work).run())
"""


def pids(folder: Path) -> dict[str, list[int]]:
    """Process ids of every worker that ever ran, by worker name."""
    found: dict[str, list[int]] = {}
    for path in folder.glob("w-*"):
        name, _, pid = path.name.partition(".")
        found.setdefault(name, []).append(int(pid))
    return found


def until(holds: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture
def parent(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    program, folder = tmp_path / "parent.py", tmp_path / "running"
    program.write_text(PROGRAM)
    folder.mkdir()
    paths = os.pathsep.join(str(ROOT / room) for room in ("core", "worker"))
    process = subprocess.Popen(
        [sys.executable, str(program), str(folder)], env={**os.environ, "PYTHONPATH": paths}
    )
    yield process, folder
    process.kill()
    process.wait()


def test_a_child_that_dies_is_started_again_and_a_signal_ends_all(
    parent: tuple[subprocess.Popen[bytes], Path],
) -> None:
    process, folder = parent
    until(lambda: len(pids(folder)) == 2)
    [victim] = pids(folder)["w-0"]
    os.kill(victim, signal.SIGKILL)
    until(lambda: len(pids(folder)["w-0"]) == 2)
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0
    for group in pids(folder).values():
        for pid in group:
            assert not Path(f"/proc/{pid}").exists()
    assert len(pids(folder)["w-1"]) == 1
