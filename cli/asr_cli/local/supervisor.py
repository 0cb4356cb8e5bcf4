"""Starts programs in order, restarts those that die, stops all in reverse order."""

from __future__ import annotations

import asyncio
import json
import signal
import time
from collections.abc import Awaitable, Callable, Sequence

from asr_cli.errors import ProgramFailed
from asr_cli.local.process import Child, Program, last_lines
from asr_core.backoff import backoff_seconds

RESTARTS_MOST = 5  # of an essential program, within the window
RESTART_FIRST_SECONDS = 0.5
RESTART_MOST_SECONDS = 10.0
DEATHS_WINDOW_SECONDS = 120.0
PLANNED_LEAST_SECONDS = 5.0
_POLL_SECONDS = 0.1


def restart_delay(deaths: Sequence[float], now: float, *, essential: bool) -> float | None:
    """Seconds before the next start, given the times of its deaths; None: too often, give up."""
    recent = sum(1 for at in deaths if now - at <= DEATHS_WINDOW_SECONDS)
    if essential and recent > RESTARTS_MOST:
        return None
    earlier = max(recent, 1) - 1
    return backoff_seconds(earlier, first=RESTART_FIRST_SECONDS, most=RESTART_MOST_SECONDS)


def is_planned(status: int, lived_seconds: float, *, essential: bool) -> bool:
    """A worker that ends with 0 has nothing in hand: no crash, and nothing to wait for.

    What is essential never ends in health, and what ends at once would only end again.
    """
    return status == 0 and not essential and lived_seconds >= PLANNED_LEAST_SECONDS


def describe_end(name: str, status: int) -> str:
    """How a program ended, in words."""
    if status < 0:
        return f"{name} was killed by {signal.Signals(-status).name}"
    return f"{name} ended with status {status}"


def readable(line: str) -> str:
    """A line of a JSON log as a person reads it; any other line as it is."""
    try:
        record = json.loads(line)
        level, event = record.pop("level"), record.pop("event")
    except (ValueError, KeyError, AttributeError, TypeError):
        return line
    trace = str(record.pop("exception", "")).strip().rpartition("\n")[2]
    shown = {name: value for name, value in record.items() if name not in ("timestamp", "logger")}
    fields = ", ".join(f"{name}={value}" for name, value in shown.items())
    return (
        f"{level}: {event}" + (f" ({fields})" if fields else "") + (f": {trace}" if trace else "")
    )


class Supervisor:
    """The programs of one machine."""

    def __init__(
        self, announce: Callable[[str], None], echo: Callable[[str, str], None] | None = None
    ) -> None:
        self._announce = announce
        self._echo = echo
        self._groups: list[list[Child]] = []

    async def start(self, programs: Sequence[Program]) -> None:
        """Start one group; groups are stopped in reverse order."""
        group: list[Child] = []
        self._groups.append(group)
        for program in programs:
            child = Child(program, self._echo)
            await child.start()
            group.append(child)

    async def until_ready(
        self, name: str, ready: Callable[[], Awaitable[bool]], timeout_seconds: float
    ) -> None:
        """Poll `ready`; ProgramFailed as soon as the program ends, or after the time-out."""
        child = next(c for group in self._groups for c in group if c.program.name == name)
        ended = asyncio.ensure_future(child.wait())
        deadline = time.monotonic() + timeout_seconds
        try:
            while not await ready():
                if ended.done():
                    raise self._failure(
                        child, describe_end(name, ended.result()) + " while starting"
                    )
                if time.monotonic() > deadline:
                    raise self._failure(
                        child, f"{name} was not ready within {timeout_seconds:.0f} s"
                    )
                await asyncio.wait([ended], timeout=_POLL_SECONDS)
        finally:
            ended.cancel()

    async def watch(self) -> None:
        """Restart programs that die, until one dies too often: ProgramFailed."""
        keepers = [
            asyncio.create_task(self._keep(child)) for group in self._groups for child in group
        ]
        try:
            done, _ = await asyncio.wait(keepers, return_when=asyncio.FIRST_COMPLETED)
            for keeper in done:
                keeper.result()
        finally:
            for keeper in keepers:
                keeper.cancel()
            await asyncio.gather(*keepers, return_exceptions=True)

    async def stop(self) -> None:
        for group in reversed(self._groups):
            await asyncio.gather(*(child.stop() for child in group))

    async def kill(self) -> None:
        await asyncio.gather(*(child.kill() for group in self._groups for child in group))

    async def _keep(self, child: Child) -> None:
        deaths: list[float] = []
        while True:
            started_at = time.monotonic()
            status = await child.wait()
            lived_seconds = time.monotonic() - started_at
            if is_planned(status, lived_seconds, essential=child.program.essential):
                self._announce(f"{child.program.name} ended normally; starting a new one")
                await child.start()
                continue
            end = describe_end(child.program.name, status)
            deaths.append(time.monotonic())
            delay = restart_delay(deaths, time.monotonic(), essential=child.program.essential)
            if delay is None:
                raise self._failure(child, f"{end}, {len(deaths)} times")
            self._announce(f"{end}; restarting in {delay:g} s (log: {child.program.log_file})")
            await asyncio.sleep(delay)
            await child.start()

    def _failure(self, child: Child, what: str) -> ProgramFailed:
        tail = "\n".join(f"  {readable(line)}" for line in last_lines(child.program.log_file, 12))
        return ProgramFailed(f"{what}. The end of {child.program.log_file}:\n{tail}")
