"""Who decodes next: lanes and tenants by turns, with one decoder kept for short interactive work.

Bookkeeping only. What a recording costs is not known before: whoever has used less processor time
is next, and what turns out to be long is bounded as what was known to be.
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

KEPT_DECODERS: Final = 1
# For starting a decoder on a file, however short: equal tenants then take turns.
_START_CPU_SECONDS: Final = 0.01


@dataclass(eq=False)
class DecoderTurn:
    """One recording that waits for a decoder, or has one. `must_yield`: it has to leave its decoder
    and to come again as a long one.
    """

    tenant: str
    lane: Lane
    is_long: bool
    arrival: int
    admitted: asyncio.Future[None] = field(repr=False)
    used_seconds: float = 0.0
    must_yield: bool = False

    @property
    def may_have_the_kept_one(self) -> bool:
        return self.lane is Lane.INTERACTIVE and not self.is_long


class DecoderQueue:
    """Turns at `processes` decoders and a kept one; of the former all but one may hold long
    recordings, if there are several.
    """

    def __init__(self, processes: int) -> None:
        self._processes = processes
        self._most_long = max(1, processes - 1)
        self._arrivals = 0
        self._waiting: list[DecoderTurn] = []
        self._running: set[DecoderTurn] = set()
        self._lanes: UseClock[Lane] = UseClock()
        self._tenants: UseClock[tuple[Lane, str]] = UseClock()

    @asynccontextmanager
    async def turn(self, tenant: str, lane: Lane, *, is_long: bool) -> AsyncIterator[DecoderTurn]:
        """Waits for a decoder, which is free again at the end."""
        self._arrivals += 1
        admitted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        turn = DecoderTurn(tenant, lane, is_long, self._arrivals, admitted)
        self._waiting.append(turn)
        self._admit()
        try:
            await admitted
            yield turn
        finally:
            if turn in self._running:
                self._running.remove(turn)
            else:
                self._waiting.remove(turn)
            self._admit()

    def charge(self, turn: DecoderTurn, cpu_seconds: float) -> None:
        """The processor seconds that a recording has taken by now."""
        more = max(0.0, cpu_seconds - turn.used_seconds)
        turn.used_seconds += more
        self._use(turn, more)

    def turned_long(self, turn: DecoderTurn, *, has_place: bool) -> None:
        """It is longer than it seemed: it goes on as a long one, or must yield."""
        others = [other for other in self._running if other is not turn]
        turn.is_long = True
        turn.must_yield = not (has_place and self._may_run(turn, others))
        self._admit()

    def _use(self, turn: DecoderTurn, cpu_seconds: float) -> None:
        self._lanes.use(turn.lane, cpu_seconds / WEIGHTS[turn.lane])
        self._tenants.use((turn.lane, turn.tenant), cpu_seconds)

    def _may_run(self, turn: DecoderTurn, others: list[DecoderTurn]) -> bool:
        if len(others) >= self._processes + KEPT_DECODERS:
            return False
        if turn.may_have_the_kept_one:
            return True
        ordinary = sum(not other.may_have_the_kept_one for other in others)
        long = sum(other.is_long for other in others)
        return ordinary < self._processes and not (turn.is_long and long >= self._most_long)

    def _admit(self) -> None:
        while turn := self._next():
            self._waiting.remove(turn)
            self._running.add(turn)
            self._lanes.serve(turn.lane)
            self._tenants.serve((turn.lane, turn.tenant))
            self._use(turn, _START_CPU_SECONDS)
            turn.admitted.set_result(None)

    def _next(self) -> DecoderTurn | None:
        others = list(self._running)
        held = Counter(turn.tenant for turn in others)

        def order(turn: DecoderTurn) -> tuple[float, int, float, int]:
            used = self._tenants.tag((turn.lane, turn.tenant))
            return self._lanes.tag(turn.lane), held[turn.tenant], used, turn.arrival

        able = (
            turn
            for turn in self._waiting
            if not turn.admitted.done() and self._may_run(turn, others)
        )
        return min(able, key=order, default=None)
