"""The callers of this process that wait for a transcript with their connection open.

Each has a seat; while it is taken, its lease in Redis is renewed. Whoever has got the whole reply
leaves `answered`, everybody else is expected to come again.
"""

from __future__ import annotations

import asyncio
import uuid
from contextlib import suppress

from asr_core.errors import DependencyError
from asr_core.queue import Callers, Waiter


class WaiterLease:
    """One caller. It sits at no task until `take`, and leaves once."""

    def __init__(self, attendance: WaiterLeases) -> None:
        self._attendance = attendance
        self._left = False
        self.caller_id = uuid.uuid4().hex
        self.task_id = ""

    def waiter(self, deserted_seconds: float) -> Waiter:
        """As the queue is told of it."""
        return Waiter(self.caller_id, deserted_seconds)

    def take(self, task_id: str) -> None:
        """From now on its lease is renewed."""
        self.task_id = task_id
        self._attendance.seats.add(self)

    def leave(self, *, answered: bool) -> None:
        """Tells the queue in the background: who leaves may be cancelled itself."""
        if self.task_id and not self._left:
            self._left = True
            self._attendance.see_off(self, answered=answered)


class WaiterLeases:
    """All seats. `renew` is called every `renew_seconds` by housekeeping."""

    def __init__(self, callers: Callers) -> None:
        self.callers = callers
        self.seats: set[WaiterLease] = set()
        self._leaving: set[asyncio.Task[None]] = set()

    @property
    def renew_seconds(self) -> float:
        return self.callers.renew_seconds

    def seat(self) -> WaiterLease:
        """A new one."""
        return WaiterLease(self)

    async def renew(self) -> None:
        """All leases of this process."""
        await self.callers.attend([(seat.task_id, seat.caller_id) for seat in self.seats])

    def see_off(self, seat: WaiterLease, *, answered: bool) -> None:
        self.seats.discard(seat)
        task = asyncio.get_running_loop().create_task(self._leave(seat, answered))
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)

    async def stop(self) -> None:
        """Waits for those who are just leaving; of the others the leases run out."""
        await asyncio.gather(*self._leaving, return_exceptions=True)

    async def _leave(self, seat: WaiterLease, answered: bool) -> None:
        with suppress(DependencyError):  # then the lease runs out by itself
            await self.callers.leave(seat.task_id, seat.caller_id, answered=answered)
