"""The claim loop: asks the queue for work while there is room, and for the work of the dead.

The only place that claims. It holds nothing itself: claims go to `begin`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence

from asr_core.errors import DependencyError
from asr_core.process.logs import get_logger
from asr_core.queue import Claim, Consumer
from asr_worker.in_flight.capacity import Capacity, backoff_seconds, reap_every_seconds
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
        hand: InFlightTasks,
        *,
        room: Callable[[], Capacity],
        may_claim: Callable[[], Awaitable[bool]],
        begin: Callable[[Sequence[Claim]], None],
        lease_seconds: float,
    ) -> None:
        self._consumer = consumer
        self._hand = hand
        self._room = room
        self._may_claim = may_claim
        self._begin = begin
        self._reap_every_seconds = reap_every_seconds(lease_seconds)
        self._reaped_at = 0.0
        self._stopping = asyncio.Event()
        self.must_recover = False
        self.cordoned = False

    def stop(self) -> None:
        """Nothing is claimed any more; a call that is under way still brings what it got."""
        self._stopping.set()

    def rejoin(self) -> None:
        """Leases were lost without a word from the queue: see first what is still ours."""
        self.must_recover = True
        self._hand.changed.set()

    async def run(self) -> None:
        """Claims until stopped. No call to Redis is cut off: its reply may hold begun tasks."""
        failures = 0
        async with self._consumer.wake() as woken:
            while not self._stopping.is_set():
                was_woken = woken.is_set()
                woken.clear()
                try:
                    took = await self._round(was_woken=was_woken)
                    failures = 0
                except DependencyError as error:
                    took = False
                    self.must_recover = True
                    failures += 1
                    _log.warning("no claims", error=str(error), failures=failures)
                pause = _AGAIN_SECONDS if took else POLL_SECONDS
                if failures:
                    pause = backoff_seconds(failures, first=0.1, most=2.0)
                await self._sleep(woken, pause, hurry=not took and not failures)

    async def recover(self) -> None:
        """Takes up what the queue has begun for this process and its reply did not tell."""
        await asyncio.gather(
            *(t.work for t in self._hand if t.lost and t.work), return_exceptions=True
        )
        await self._consumer.prepare()
        claims = await self._consumer.recover()
        self.must_recover = False
        unknown = [c for c in claims if (c.task.task_id, c.token) not in self._hand]
        if unknown:
            _log.info("recovered", tasks=len(unknown))
            self._begin(unknown)

    async def _round(self, *, was_woken: bool) -> bool:
        """One look at the queue; True if it gave something."""
        self._hand.changed.clear()
        if self.must_recover:
            await self.recover()
        room = self._room()
        if self.cordoned or self._hand.solo or not room or not await self._may_claim():
            return False
        # Orphans first, or they would wait for ever behind a stream of new work.
        if room.kept_for is None and await self._reap(room, soon=was_woken):
            return True
        claims = await self._consumer.claim(
            room_seconds=room.seconds,
            room_tasks=room.tasks,
            in_hand=len(self._hand),
            kept_for=room.kept_for,
        )
        self._begin(claims)
        return bool(claims)

    async def _reap(self, room: Capacity, *, soon: bool) -> bool:
        wait = _REAP_PAUSE_SECONDS if soon else self._reap_every_seconds
        if time.monotonic() - self._reaped_at < wait:
            return False
        self._reaped_at = time.monotonic()
        claims = await self._consumer.reap(
            room_seconds=room.seconds, room_tasks=room.tasks, in_hand=len(self._hand)
        )
        self._begin(claims)
        return bool(claims)

    async def _sleep(self, woken: asyncio.Event, seconds: float, *, hurry: bool) -> None:
        """Until the time is up, or work came, or room was made; woken or not, a stop ends it."""
        events = [self._stopping, woken, self._hand.changed] if hurry else [self._stopping]
        waits = [asyncio.ensure_future(event.wait()) for event in events]
        try:
            await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
