"""Replaces a worker process by a fresh one after a number of tasks, or above a memory bound.

A retiring process stops claiming and finishes its tasks in flight, however long that takes: a
released recording would start over, and with short-lived processes it would never finish. So that
short requests are not held up behind hours of audio, the process first waits, for ten minutes at
most, until its tasks in flight would finish within the grace period.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import psutil

from asr_core.process.logs import get_logger
from asr_worker.in_flight.capacity import Throughput, Unfinished, fits
from asr_worker.in_flight.tasks import InFlightTasks
from asr_worker.settings import WorkerSettings

# A process that reaches its bound soon after each start must not spend its time loading models.
LEAST_AGE_SECONDS: Final = 300.0
PATIENCE_SECONDS: Final = 600.0
POLL_SECONDS: Final = 0.2
_log = get_logger(__name__)


@dataclass(frozen=True)
class Bounds:
    """0 means unbounded. Memory is this process's resident set, without its decoders."""

    tasks: int
    memory_bytes: int

    def without_the_impossible(self, fresh_bytes: int) -> Bounds:
        """Drops a memory bound that a fresh process exceeds already."""
        if self.memory_bytes and fresh_bytes >= self.memory_bytes:
            return replace(self, memory_bytes=0)
        return self

    def reached(self, *, tasks: int, resident_bytes: int, age_seconds: float) -> str | None:
        """Which bound is reached, `tasks` or `memory`; None if neither is."""
        if self.tasks and tasks >= self.tasks:
            return "tasks"
        too_much = self.memory_bytes and resident_bytes >= self.memory_bytes
        if too_much and tasks and age_seconds >= LEAST_AGE_SECONDS:
            return "memory"
        return None


def resident_bytes() -> int:
    """Memory of this process as the kernel counts it."""
    return int(psutil.Process().memory_info().rss)


class Recycling:
    """`run` returns when the process is to end; while `retiring`, nothing may be claimed."""

    def __init__(
        self,
        settings: WorkerSettings,
        in_flight: InFlightTasks,
        throughput: Throughput,
        *,
        memory: Callable[[], int] = resident_bytes,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Created once the model is loaded and before the first task, to measure that memory."""
        self._grace_seconds = settings.grace_seconds
        self._in_flight = in_flight
        self._throughput = throughput
        self._memory = memory
        self._clock = clock
        self._started_at = clock()
        self._fresh_bytes = memory()
        self._bounds = self._possible_bounds(settings)
        self._reason: str | None = None
        self._reached_at = 0.0
        self.retiring = False

    async def run(self) -> None:
        """Waits until a bound is reached and no task is in flight."""
        while True:
            if self.check():
                return
            await asyncio.sleep(POLL_SECONDS)

    def check(self) -> bool:
        """Advances the state; True once the process may end."""
        now = self._clock()
        if self._reason is None:
            self._reason, self._reached_at = self._reached(now), now
        if self._reason and not self.retiring:
            self.retiring = self._ends_soon() or now - self._reached_at > PATIENCE_SECONDS
            if self.retiring:
                self._log_reason(now)
        return self.retiring and not len(self._in_flight)

    def _possible_bounds(self, settings: WorkerSettings) -> Bounds:
        wanted = Bounds(settings.max_tasks_per_process, settings.max_memory_bytes)
        possible = wanted.without_the_impossible(self._fresh_bytes)
        if possible != wanted:
            _log.error(
                "ASR_MAX_MEMORY_BYTES does not apply: a worker that has done nothing is above",
                max_memory_bytes=wanted.memory_bytes,
                memory_bytes_at_start=self._fresh_bytes,
            )
        return possible

    def _reached(self, now: float) -> str | None:
        return self._bounds.reached(
            tasks=self._in_flight.gone_count,
            resident_bytes=self._memory() if self._bounds.memory_bytes else 0,
            age_seconds=now - self._started_at,
        )

    def _ends_soon(self) -> bool:
        left = [Unfinished(task.key, task.left_seconds) for task in self._in_flight]
        kept = fits(
            left,
            throughput=self._throughput.audio_seconds_per_second,
            grace_seconds=self._grace_seconds,
        )
        return len(kept) == len(left)

    def _log_reason(self, now: float) -> None:
        _log.info(
            "no more claims: a fresh process takes over",
            reason=self._reason,
            tasks=self._in_flight.gone_count,
            in_hand=len(self._in_flight),
            minutes=round((now - self._started_at) / 60, 1),
            memory_bytes=self._memory(),
            memory_bytes_at_start=self._fresh_bytes,
        )
