"""The claim loop: claims new tasks and expired leases while there is capacity.

The only place that claims. It holds no tasks itself: claims are passed to `start`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence

from asr_core.backoff import backoff_seconds
from asr_core.errors import DependencyError
from asr_core.process.logs import get_logger
from asr_core.queue import Claim, Consumer
from asr_worker.in_flight.capacity import Capacity, reap_every_seconds
from asr_worker.in_flight.tasks import InFlightTasks

POLL_SECONDS = 1.0
_AGAIN_SECONDS = 0.05
_REAP_PAUSE_SECONDS = 0.5
_log = get_logger(__name__)


class Claiming:
    """One loop per process; `run` ends soon after `stop`."""

    def __init__(
        self,
        consumer: Consumer,
        in_flight: InFlightTasks,
        *,
        capacity: Callable[[], Capacity],
        may_claim: Callable[[], Awaitable[bool]],
        start: Callable[[Sequence[Claim]], None],
        lease_seconds: float,
    ) -> None:
        self._consumer = consumer
        self._in_flight = in_flight
        self._capacity = capacity
        self._may_claim = may_claim
        self._start = start
        self._reap_every_seconds = reap_every_seconds(lease_seconds)
        self._reaped_at = 0.0
        self._stopping = asyncio.Event()
        self.must_recover = False
        self.cordoned = False

    def stop(self) -> None:
        """Stops claiming; tasks from a call that is already under way are still started."""
        self._stopping.set()

    def rejoin(self) -> None:
        """Leases may have expired unnoticed: recover those still ours before the next claim."""
        self.must_recover = True
        self._in_flight.changed.set()

    async def run(self) -> None:
        """Claims until stopped. Calls to Redis are never cancelled: a reply may hold claims."""
        failures = 0
        async with self._consumer.wake() as woken:
            while not self._stopping.is_set():
                was_woken = woken.is_set()
                woken.clear()
                try:
                    claimed_any = await self._round(was_woken=was_woken)
                    failures = 0
                except DependencyError as error:
                    claimed_any = False
                    self.must_recover = True
                    failures += 1
                    _log.warning("no claims", error=str(error), failures=failures)
                pause = _AGAIN_SECONDS if claimed_any else POLL_SECONDS
                if failures:
                    pause = backoff_seconds(failures, first=0.1, most=2.0)
                await self._sleep(woken, pause, hurry=not claimed_any and not failures)

    async def recover(self) -> None:
        """Starts tasks that the queue claimed for this process in a reply that got lost."""
        await asyncio.gather(
            *(t.work for t in self._in_flight if t.lost and t.work), return_exceptions=True
        )
        await self._consumer.prepare()
        claims = await self._consumer.recover()
        self.must_recover = False
        unknown = [c for c in claims if (c.task.task_id, c.token) not in self._in_flight]
        if unknown:
            _log.info("recovered", tasks=len(unknown))
            self._start(unknown)

    async def _round(self, *, was_woken: bool) -> bool:
        """One round of reap and claim; True if it brought tasks."""
        self._in_flight.changed.clear()
        if self.must_recover:
            await self.recover()
        capacity = self._capacity()
        if self.cordoned or self._in_flight.solo or not capacity or not await self._may_claim():
            return False
        # Expired leases first, or they would starve behind a stream of new tasks.
        if capacity.kept_for is None and await self._reap(capacity, soon=was_woken):
            return True
        claims = await self._consumer.claim(
            room_seconds=capacity.seconds,
            room_tasks=capacity.tasks,
            in_flight=len(self._in_flight),
            kept_for=capacity.kept_for,
        )
        self._start(claims)
        return bool(claims)

    async def _reap(self, capacity: Capacity, *, soon: bool) -> bool:
        wait = _REAP_PAUSE_SECONDS if soon else self._reap_every_seconds
        if time.monotonic() - self._reaped_at < wait:
            return False
        self._reaped_at = time.monotonic()
        claims = await self._consumer.reap(
            room_seconds=capacity.seconds, room_tasks=capacity.tasks, in_flight=len(self._in_flight)
        )
        self._start(claims)
        return bool(claims)

    async def _sleep(self, woken: asyncio.Event, seconds: float, *, hurry: bool) -> None:
        """Until `seconds` have passed or `stop`; with `hurry` also until new work or capacity."""
        events = [self._stopping, woken, self._in_flight.changed] if hurry else [self._stopping]
        waits = [asyncio.ensure_future(event.wait()) for event in events]
        try:
            await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
