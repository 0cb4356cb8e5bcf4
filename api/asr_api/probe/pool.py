"""A pool of warm probe processes, replaced when they die, hang or reach their probe limit."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from asr_api.errors import ProbeUnavailable
from asr_api.probe.fair_slots import FairSlots
from asr_api.probe.report import ProbeLimits, ProbeReport
from asr_core.errors import (
    AsrError,
    AudioTooLong,
    EmptyAudio,
    InvalidOption,
    TooExpensive,
    UnreadableAudio,
    UnsupportedAudio,
)
from asr_core.process.child_environment import child_environment

PROBES_PER_PROCESS = 500
START_SECONDS = 60.0
_ERRORS: dict[str, type[AsrError]] = {
    error.code: error
    for error in (UnsupportedAudio, UnreadableAudio, EmptyAudio, AudioTooLong, InvalidOption)
}


class ProbePool:
    """At most `size` concurrent probes, shared fairly by tenants, each in its own process: a crash
    affects only the file that caused it.
    """

    def __init__(
        self, size: int, limits: ProbeLimits, *, module: str = "asr_api.probe.child"
    ) -> None:
        self._limits = limits
        self._processes = [_ProbeProcess(limits, module) for _ in range(size)]
        self._idle = list(self._processes)
        self._slots = FairSlots(size, most_each=max(1, size - 1))

    async def warm_up(self) -> None:
        """Start one process ahead of the first upload. Raises ProbeUnavailable."""
        async with self._process("") as process:
            await process.start()

    async def probe(self, path: Path, track: int | None = None, *, tenant: str = "") -> ProbeReport:
        """What a track of `path` holds. Raises the errors of `reader.read_report`, or
        ProbeUnavailable, also when all processes stay busy.
        """
        async with self._process(tenant) as process:
            return await process.probe(path, track)

    @asynccontextmanager
    async def _process(self, tenant: str) -> AsyncIterator[_ProbeProcess]:
        async with AsyncExitStack() as stack:
            slot = self._slots.hold(tenant, wait_seconds=self._limits.wall_seconds)
            try:
                await stack.enter_async_context(slot)
            except TimeoutError:
                raise ProbeUnavailable("Too many uploads wait to be probed.") from None
            process = self._idle.pop()
            stack.callback(self._idle.append, process)
            yield process

    async def close(self) -> None:
        """End all processes."""
        await asyncio.gather(*(process.stop() for process in self._processes))


class _ProbeProcess:
    def __init__(self, limits: ProbeLimits, module: str) -> None:
        self._limits = limits
        self._module = module
        self._process: asyncio.subprocess.Process | None = None
        self._probes = 0

    async def start(self) -> asyncio.subprocess.Process:
        if self._process is not None and self._process.returncode is None:
            return self._process
        try:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-B", "-m", self._module, json.dumps(asdict(self._limits)),
                stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL, env=child_environment(), start_new_session=True,
            )  # fmt: skip
            self._probes = 0
            async with asyncio.timeout(START_SECONDS):
                await self._read(self._process)
        except (OSError, TimeoutError, EOFError, ValueError) as error:
            await self.stop()
            raise ProbeUnavailable("The audio probe cannot be started.") from error
        except BaseException:
            await self.stop()
            raise
        return self._process

    async def probe(self, path: Path, track: int | None) -> ProbeReport:
        process = await self.start()
        try:
            reply = await self._ask(process, {"path": str(path), "track": track})
        except BaseException:
            await self.stop()
            raise
        self._probes += 1
        if self._probes >= PROBES_PER_PROCESS:
            await self.stop()
        return _report(reply)

    async def _ask(
        self, process: asyncio.subprocess.Process, question: dict[str, Any]
    ) -> dict[str, Any]:
        assert process.stdin is not None
        try:
            async with asyncio.timeout(self._limits.wall_seconds):
                process.stdin.write(json.dumps(question).encode() + b"\n")
                await process.stdin.drain()
                return await self._read(process)
        except TimeoutError:
            raise ProbeUnavailable(
                f"The audio could not be probed within {self._limits.wall_seconds:g} s."
            ) from None
        except (EOFError, ConnectionError):
            raise _death(await process.wait(), self._limits) from None

    async def _read(self, process: asyncio.subprocess.Process) -> dict[str, Any]:
        assert process.stdout is not None
        line = await process.stdout.readline()
        if not line.endswith(b"\n"):
            raise EOFError
        reply: dict[str, Any] = json.loads(line)
        return reply

    async def stop(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def _report(reply: dict[str, Any]) -> ProbeReport:
    if "report" in reply:
        return ProbeReport(**reply["report"])
    error = _ERRORS.get(str(reply.get("error")))
    if error is None:
        raise ProbeUnavailable(f"The audio probe failed: {reply.get('failed', reply)}.")
    raise error(str(reply["message"]), param=reply.get("param", "audio"))


def _death(returncode: int, limits: ProbeLimits) -> AsrError:
    """Killed from outside: not the audio's fault. Any other exit is."""
    if returncode in (-signal.SIGTERM, -signal.SIGINT, -signal.SIGKILL):
        return ProbeUnavailable("The audio probe was killed.")
    if returncode == -signal.SIGXCPU:
        return TooExpensive(
            f"Probing the audio took more than {limits.cpu_seconds:g} s of processor time.",
            param="audio",
        )
    return UnreadableAudio("The audio crashed the decoder.", param="audio")
