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
    """A unit of work; `destination` is tenant and host, the unit of fair sharing."""

    @property
    def destination(self) -> str: ...


T = TypeVar("T", bound=Job)


class Source(Protocol[T]):
    """Supplies jobs and runs one."""

    name: str

    async def take(self, limit: int, busy: Mapping[str, int]) -> Sequence[T]:
        """Up to `limit` that are due; `busy` counts those in flight by destination."""

    def run(self, job: T) -> Awaitable[None]:
        """Run it and report the outcome."""


class JobRunner(Generic[T]):
    """Runs at most `at_once` jobs. Neither a failed job nor a Redis outage stops it."""

    def __init__(self, source: Source[T], *, at_once: int) -> None:
        self._source = source
        self._at_once = at_once
        self._running: set[asyncio.Task[None]] = set()
        self._busy: Counter[str] = Counter()
        self._slot_freed = asyncio.Event()

    async def take_until_cancelled(self) -> None:
        """Poll for due jobs twice a second, and whenever a job ends."""
        unavailable = False
        while True:
            self._slot_freed.clear()
            try:
                taken = await self._take()
                if unavailable:
                    _log.info("courier_goes_on", what=self._source.name)
                unavailable = False
            except DependencyError as error:
                taken = 0
                if not unavailable:
                    _log.warning("courier_waits", what=self._source.name, reason=error.message)
                unavailable = True
            if not taken or len(self._running) >= self._at_once:
                with suppress(TimeoutError):
                    async with asyncio.timeout(POLL_SECONDS):
                        await self._slot_freed.wait()

    async def finish(self, grace_seconds: float) -> None:
        """Wait for jobs in flight; cancel those that exceed the grace period."""
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
        for job in taken:
            self._busy[job.destination] += 1
            task = asyncio.create_task(self._run(job))
            self._running.add(task)
            task.add_done_callback(self._running.discard)
        return len(taken)

    async def _run(self, job: T) -> None:
        try:
            await self._source.run(job)
        except DependencyError as error:  # the lease expires and the job is due again
            _log.warning("job_not_reported", what=self._source.name, reason=error.message)
        except Exception:
            _log.exception("job_failed", what=self._source.name)
        finally:
            self._busy[job.destination] -= 1
            self._slot_freed.set()
