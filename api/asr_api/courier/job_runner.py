"""Takes what is due from its lines and runs it, so much at a time, and per line."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Mapping, Sequence
from contextlib import suppress
from math import ceil
from typing import Generic, Protocol, TypeVar

from asr_core.errors import DependencyError
from asr_core.process.logs import get_logger

POLL_SECONDS = 0.5
_RESERVED_SHARE = 4  # one slot in so many
_log = get_logger("asr_api.courier")


def reserved_slots(at_once: int) -> int:
    """How many of the slots only a tenant may take that has none."""
    return ceil(at_once / _RESERVED_SHARE)


class Job(Protocol):
    """What was taken; `line` is whose it is and where it goes."""

    @property
    def line(self) -> str: ...


T = TypeVar("T", bound=Job)


class Source(Protocol[T]):
    """Where errands come from, and how one is run."""

    name: str

    async def take(self, limit: int, busy: Mapping[str, int]) -> Sequence[T]:
        """Up to `limit` that are due; `busy` counts those in hand by line."""

    def run(self, errand: T) -> Awaitable[None]:
        """Do it and report it."""


class JobRunner(Generic[T]):
    """At most `at_once` in hand. A failure of one, or of Redis, ends nothing."""

    def __init__(self, source: Source[T], *, at_once: int) -> None:
        self._source = source
        self._at_once = at_once
        self._running: set[asyncio.Task[None]] = set()
        self._busy: Counter[str] = Counter()
        self._room = asyncio.Event()

    async def take_until_cancelled(self) -> None:
        """Look for due errands twice a second, and whenever one has ended."""
        away = False
        while True:
            self._room.clear()
            try:
                taken = await self._take()
                if away:
                    _log.info("courier_goes_on", what=self._source.name)
                away = False
            except DependencyError as error:
                taken = 0
                if not away:
                    _log.warning("courier_waits", what=self._source.name, reason=error.message)
                away = True
            if not taken or len(self._running) >= self._at_once:
                with suppress(TimeoutError):
                    async with asyncio.timeout(POLL_SECONDS):
                        await self._room.wait()

    async def finish(self, grace_seconds: float) -> None:
        """Wait for what is in hand; what does not fit is cancelled."""
        if self._running:
            await asyncio.wait(self._running, timeout=grace_seconds)
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    async def _take(self) -> int:
        free = self._at_once - len(self._running)
        if not free:
            return 0
        taken = await self._source.take(free, +self._busy)
        for errand in taken:
            self._busy[errand.line] += 1
            task = asyncio.create_task(self._run(errand))
            self._running.add(task)
            task.add_done_callback(self._running.discard)
        return len(taken)

    async def _run(self, errand: T) -> None:
        try:
            await self._source.run(errand)
        except DependencyError as error:  # its lease ends, and it is due again
            _log.warning("errand_not_reported", what=self._source.name, reason=error.message)
        except Exception:
            _log.exception("errand_failed", what=self._source.name)
        finally:
            self._busy[errand.line] -= 1
            self._room.set()
