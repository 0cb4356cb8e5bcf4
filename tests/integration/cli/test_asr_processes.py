from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest

from asr_cli.errors import ProgramFailed
from asr_cli.local.process import Program
from asr_cli.local.supervisor import Supervisor

pytestmark = pytest.mark.asyncio


def program(tmp_path: Path, name: str, code: str, *, essential: bool = True) -> Program:
    return Program(
        name=name,
        arguments=(sys.executable, "-c", code),
        environment=dict(os.environ),
        log_file=tmp_path / f"{name}.log",
        stop_seconds=1.0,
        essential=essential,
    )


async def until(path: Path, text: str) -> str:
    """The file's content once it holds `text`."""
    async with asyncio.timeout(30):
        while not path.exists() or text not in path.read_text():
            await asyncio.sleep(0.02)
    return path.read_text()


async def never() -> bool:
    return False


async def test_programs_are_stopped_in_the_opposite_order_of_their_start(tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    code = (
        "import signal, sys, time\n"
        f"journal = open({str(journal)!r}, 'a')\n"
        "def end(*_):\n"
        "    print('end', sys.argv[1], file=journal, flush=True); sys.exit()\n"
        "signal.signal(signal.SIGTERM, end)\n"
        "print('start', sys.argv[1], file=journal, flush=True)\n"
        "while True: time.sleep(60)\n"
    )
    supervisor = Supervisor(lambda line: None)
    for name in ("redis", "api", "worker"):
        one = program(tmp_path, name, code)
        await supervisor.start([Program(**{**one.__dict__, "arguments": (*one.arguments, name)})])
        await until(journal, f"start {name}")
    await supervisor.stop()
    ends = [line for line in journal.read_text().splitlines() if line.startswith("end")]
    assert ends == ["end worker", "end api", "end redis"]


async def test_a_program_that_ignores_sigterm_is_killed_with_what_it_started(
    tmp_path: Path,
) -> None:
    code = (
        "import signal, subprocess, sys, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        "print('child', child.pid, flush=True)\n"
        "while True: time.sleep(60)\n"
    )
    supervisor = Supervisor(lambda line: None)
    await supervisor.start([program(tmp_path, "stubborn", code)])
    pid = int((await until(tmp_path / "stubborn.log", "\n")).split()[1])
    await supervisor.stop()
    async with asyncio.timeout(30):
        while Path(f"/proc/{pid}/stat").exists() and is_running(pid):
            await asyncio.sleep(0.02)


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def test_a_program_that_ends_while_starting_is_told_with_the_end_of_its_log(
    tmp_path: Path,
) -> None:
    supervisor = Supervisor(lambda line: None)
    await supervisor.start([program(tmp_path, "api", "raise SystemExit('no such model')")])
    with pytest.raises(
        ProgramFailed, match=r"api ended with status 1 while starting[\s\S]*no such"
    ):
        await supervisor.until_ready("api", never, 30)


async def test_a_program_that_is_never_ready_is_given_up(tmp_path: Path) -> None:
    supervisor = Supervisor(lambda line: None)
    await supervisor.start([program(tmp_path, "api", "import time; time.sleep(600)")])
    with pytest.raises(ProgramFailed, match="api was not ready within"):
        await supervisor.until_ready("api", never, 0.2)
    await supervisor.stop()


async def test_what_dies_is_started_again_and_said(tmp_path: Path) -> None:
    count = tmp_path / "count"
    code = (
        f"open({str(count)!r}, 'a').write('x')\n"
        f"import time; time.sleep(600 if len(open({str(count)!r}).read()) > 1 else 0)"
    )
    told: list[str] = []
    supervisor = Supervisor(told.append)
    await supervisor.start([program(tmp_path, "worker-1", code, essential=False)])
    watch = asyncio.create_task(supervisor.watch())
    await until(count, "xx")
    assert "worker-1 ended with status 0; restarting" in told[0]
    watch.cancel()
    await asyncio.gather(watch, return_exceptions=True)
    await supervisor.stop()


async def test_an_essential_program_that_keeps_dying_ends_the_watch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("asr_cli.local.supervisor.RESTARTS_MOST", 2)
    monkeypatch.setattr("asr_cli.local.supervisor.RESTART_MOST_SECONDS", 0.01)
    supervisor = Supervisor(lambda line: None)
    await supervisor.start([program(tmp_path, "redis", "raise SystemExit('disk is full')")])
    with pytest.raises(ProgramFailed, match=r"redis ended with status 1, 3 times[\s\S]*disk is"):
        await asyncio.wait_for(supervisor.watch(), 60)


async def test_logs_are_shown_and_kept_where_both_are_wanted(tmp_path: Path) -> None:
    shown: list[tuple[str, str]] = []
    supervisor = Supervisor(lambda line: None, lambda name, line: shown.append((name, line)))
    await supervisor.start([program(tmp_path, "api", "print('hello')")])
    with pytest.raises(ProgramFailed):
        await supervisor.until_ready("api", never, 30)
    assert shown == [("api", "hello")]
    assert (tmp_path / "api.log").read_text() == "hello\n"
