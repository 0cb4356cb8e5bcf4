"""One child process: its own session, its output in a file, stopped by a signal and a deadline."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import sys
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

_LOG_LIMIT_BYTES = 20 * 1024 * 1024
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class Program:
    """What to run.

    Without an `essential` program nothing works: when it keeps dying, all ends. Any other is
    started again for ever. `kept_files` stay open in the child (the lock of its data folder).
    """

    name: str
    arguments: tuple[str, ...]
    environment: Mapping[str, str]
    log_file: Path
    stop_seconds: float
    essential: bool = True
    kept_files: tuple[int, ...] = ()


def last_lines(path: Path, count: int) -> list[str]:
    """The last lines of a log, for the message about the program that wrote it."""
    try:
        with path.open(errors="replace") as file:
            return [line.rstrip("\n") for line in deque(file, maxlen=count)]
    except OSError:
        return []


def _die_with_parent() -> Callable[[], None] | None:
    """On Linux a child gets SIGTERM when `asr up` is killed outright: nothing is left running."""
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    return lambda: prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM)) and None


class Child:
    """A running program."""

    def __init__(self, program: Program, echo: Callable[[str, str], None] | None = None) -> None:
        self.program = program
        self._echo = echo
        self._process: asyncio.subprocess.Process | None = None
        self._pump: asyncio.Task[None] | None = None

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.returncode is None

    async def start(self) -> None:
        log = self._open_log()
        try:
            self._process = await asyncio.create_subprocess_exec(
                *self.program.arguments,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE if self._echo else log,
                stderr=asyncio.subprocess.STDOUT,
                env=dict(self.program.environment),
                start_new_session=True,
                pass_fds=self.program.kept_files,
                preexec_fn=_die_with_parent(),
            )
            if self._echo:
                self._pump = asyncio.create_task(
                    self._copy(self._process, os.dup(log.fileno()), self._echo)
                )
        finally:
            log.close()

    async def wait(self) -> int:
        """The exit status, once it has ended; negative for a signal."""
        assert self._process is not None
        status = await self._process.wait()
        if self._pump:
            await asyncio.shield(self._pump)
        self._signal_group(signal.SIGKILL)
        return status

    async def stop(self) -> None:
        """SIGTERM, then SIGKILL for the whole group past the program's deadline."""
        if not self.running:
            return
        assert self._process is not None
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGTERM)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.wait(), self.program.stop_seconds)
            return
        await self.kill()

    async def kill(self) -> None:
        if self.running:
            self._signal_group(signal.SIGKILL)
            await self.wait()

    def _signal_group(self, number: signal.Signals) -> None:
        """To the program and what it started itself: a dead worker must leave no decoder behind."""
        if self._process:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, number)

    def _open_log(self) -> BinaryIO:
        path = self.program.log_file
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists() and path.stat().st_size > _LOG_LIMIT_BYTES:
            path.replace(path.with_name(path.name + ".1"))
        return path.open("ab")

    async def _copy(
        self, process: asyncio.subprocess.Process, log: int, echo: Callable[[str, str], None]
    ) -> None:
        assert process.stdout is not None
        with os.fdopen(log, "ab", buffering=0) as file:
            unended = b""
            while block := await process.stdout.read(65536):
                file.write(block)
                *lines, unended = (unended + block).split(b"\n")
                for line in lines:
                    echo(self.program.name, line.decode(errors="replace"))
