"""One real program: started, signalled, watched, and started again when it ends."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psutil

PR_SET_PDEATHSIG = 1
STOP_SECONDS = 45.0
_CRASH_PAUSE_SECONDS = 1.0


@dataclass(eq=False)
class Life:
    """One process of a program. `meant`: its end was our doing."""

    pid: int
    started_at: float
    ended_at: float | None = None
    status: int | None = None
    meant: bool = False


@dataclass(eq=False)
class Program:
    """A command that is kept running. Its output is appended to `log`."""

    name: str
    arguments: tuple[str, ...]
    environment: Mapping[str, str]
    folder: Path
    log: Path
    lives: list[Life] = field(default_factory=list)
    restart_after_seconds: float = 0.0
    stopped: bool = False
    _keeper: asyncio.Task[None] | None = None
    _process: asyncio.subprocess.Process | None = None
    _stop_wanted: bool = False

    @property
    def pid(self) -> int | None:
        """Of the running process; None between two."""
        life = self.lives[-1] if self.lives else None
        return life.pid if life and life.ended_at is None else None

    async def start(self) -> None:
        """Run it, and keep it running until `stop`."""
        self._stop_wanted = False
        await self._spawn()
        self._keeper = asyncio.create_task(self._keep(), name=f"keep {self.name}")

    def send(self, number: signal.Signals, *, restart_after_seconds: float = 0.0) -> bool:
        """Signal the process itself, not its children. False if there is none."""
        if self.pid is None or self._process is None:
            return False
        if number in (signal.SIGKILL, signal.SIGTERM):
            self.lives[-1].meant = True
            self.restart_after_seconds = restart_after_seconds
        self.stopped = number is signal.SIGSTOP
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(number)
            return True
        return False

    async def ended(self) -> None:
        """Returns when the present process has ended."""
        life = self.lives[-1]
        while life.ended_at is None:
            await asyncio.sleep(0.02)

    async def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """End it for good: by `number`, and by SIGKILL past a deadline, with what it started."""
        self._stop_wanted = True
        if self._keeper is None:
            return
        if self.stopped:
            self.send(signal.SIGCONT)
        self.send(number)
        done, _ = await asyncio.wait([self._keeper], timeout=STOP_SECONDS)
        if not done:
            self.send(signal.SIGKILL)
            await self._keeper
        for life in self.lives:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(life.pid, signal.SIGKILL)

    async def _spawn(self) -> None:
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self.arguments,
                cwd=self.folder,
                env=dict(self.environment),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=_die_with_parent(),
            )
        self.stopped = False
        self.lives.append(Life(self._process.pid, time.time()))

    async def _keep(self) -> None:
        while True:
            assert self._process is not None
            status = await self._process.wait()
            life = self.lives[-1]
            life.status, life.ended_at = status, time.time()
            if self._stop_wanted:
                return
            await asyncio.sleep(self.restart_after_seconds if life.meant else _CRASH_PAUSE_SECONDS)
            if self._stop_wanted:
                return
            await self._spawn()


def family(pid: int) -> list[int]:
    """Living children of a process, and theirs."""
    found = []
    with contextlib.suppress(psutil.NoSuchProcess):
        for child in psutil.Process(pid).children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):
                if child.status() != psutil.STATUS_ZOMBIE:
                    found.append(child.pid)
    return found


def command_of(pid: int) -> str:
    """Its command line; empty if it is gone."""
    try:
        return " ".join(psutil.Process(pid).cmdline())
    except psutil.Error:
        return ""


def resident_bytes(pid: int) -> int:
    """Resident memory of one process; 0 if it is gone."""
    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.Error:
        return 0


def _die_with_parent() -> Callable[[], None] | None:
    """On Linux nothing is left running when the harness is killed outright."""
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    return lambda: prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL)) and None
