"""Fair order of decoding over lanes and tenants, one decoder reserved for short interactive work.

Bookkeeping only. The cost of a recording is unknown in advance: the tenant with less CPU time used
is next, and a recording that turns out to be long is then bounded like other long ones.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

from asr_core.task import Lane
from asr_worker.inference.fair_queueing import WEIGHTS, UseClock

RESERVED_DECODERS: Final = 1
# Charged at the start of every file, however short, so that equal tenants alternate.
_START_CPU_SECONDS: Final = 0.01


@dataclass(eq=False)
class DecoderSlot:
    """A recording that waits for a decoder or has one. With `must_yield` it has to leave its
    decoder and queue again as a long one.
    """

    tenant: str
    lane: Lane
    is_long: bool
    arrival: int
    admitted: asyncio.Future[None] = field(repr=False)
    used_seconds: float = 0.0
    must_yield: bool = False

    @property
    def may_use_reserved(self) -> bool:
        return self.lane is Lane.INTERACTIVE and not self.is_long


class DecoderQueue:
    """Slots at `processes` decoders and a reserved one. With several, long recordings may use all
    but one of the former.
    """

    def __init__(self, processes: int) -> None:
        self._processes = processes
        self._most_long = max(1, processes - 1)
        self._arrivals = 0
        self._waiting: list[DecoderSlot] = []
        self._running: set[DecoderSlot] = set()
        self._lanes: UseClock[Lane] = UseClock()
        self._tenants: UseClock[tuple[Lane, str]] = UseClock()

    @asynccontextmanager
    async def slot(self, tenant: str, lane: Lane, *, is_long: bool) -> AsyncIterator[DecoderSlot]:
        """Waits for a decoder and frees it at the end."""
        self._arrivals += 1
        admitted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        slot = DecoderSlot(tenant, lane, is_long, self._arrivals, admitted)
        self._waiting.append(slot)
        self._admit()
        try:
            await admitted
            yield slot
        finally:
            if slot in self._running:
                self._running.remove(slot)
            else:
                self._waiting.remove(slot)
            self._admit()

    def charge(self, slot: DecoderSlot, cpu_seconds: float) -> None:
        """Records the CPU seconds that a recording has taken so far."""
        more = max(0.0, cpu_seconds - slot.used_seconds)
        slot.used_seconds += more
        self._use(slot, more)

    def became_long(self, slot: DecoderSlot, *, has_place: bool) -> None:
        """The recording proved to be long: it continues as a long one, or must yield."""
        others = [other for other in self._running if other is not slot]
        slot.is_long = True
        slot.must_yield = not (has_place and self._may_run(slot, others))
        self._admit()

    def _use(self, slot: DecoderSlot, cpu_seconds: float) -> None:
        self._lanes.use(slot.lane, cpu_seconds / WEIGHTS[slot.lane])
        self._tenants.use((slot.lane, slot.tenant), cpu_seconds)

    def _may_run(self, slot: DecoderSlot, others: list[DecoderSlot]) -> bool:
        if len(others) >= self._processes + RESERVED_DECODERS:
            return False
        if slot.may_use_reserved:
            return True
        ordinary = sum(not other.may_use_reserved for other in others)
        long = sum(other.is_long for other in others)
        return ordinary < self._processes and not (slot.is_long and long >= self._most_long)

    def _admit(self) -> None:
        while slot := self._next():
            self._waiting.remove(slot)
            self._running.add(slot)
            self._lanes.serve(slot.lane)
            self._tenants.serve((slot.lane, slot.tenant))
            self._use(slot, _START_CPU_SECONDS)
            slot.admitted.set_result(None)

    def _next(self) -> DecoderSlot | None:
        others = list(self._running)
        running_by_tenant = Counter(slot.tenant for slot in others)

        def order(slot: DecoderSlot) -> tuple[float, int, float, int]:
            used = self._tenants.tag((slot.lane, slot.tenant))
            return self._lanes.tag(slot.lane), running_by_tenant[slot.tenant], used, slot.arrival

        able = (
            slot
            for slot in self._waiting
            if not slot.admitted.done() and self._may_run(slot, others)
        )
        return min(able, key=order, default=None)
