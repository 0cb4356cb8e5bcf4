"""Who gets a decoder: turns of lanes and tenants, and the one that is kept."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest

from asr_core.task import Lane
from asr_worker.attempts.decoder_queue import DecoderQueue, DecoderSlot
from asr_worker.inference.fair_queueing import UseClock

pytestmark = pytest.mark.asyncio


class Scene:
    """Recordings at a queue; each keeps its decoder until it is told to leave."""

    def __init__(self, processes: int) -> None:
        self.queue = DecoderQueue(processes)
        self.running: dict[str, DecoderSlot] = {}
        self.order: list[str] = []
        self._ends: dict[str, asyncio.Event] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def comes(
        self, name: str, tenant: str, lane: Lane = Lane.NORMAL, *, is_long: bool = False
    ) -> None:
        self._ends[name] = asyncio.Event()
        self._tasks[name] = asyncio.create_task(self._work(name, tenant, lane, is_long))
        await asyncio.sleep(0)

    async def ends(self, name: str, cpu_seconds: float = 1.0) -> None:
        self.queue.charge(self.running[name], cpu_seconds)
        self._ends[name].set()
        await self._tasks[name]
        await asyncio.sleep(0)

    async def stops_waiting(self, name: str) -> None:
        self._tasks[name].cancel()
        with suppress(asyncio.CancelledError):
            await self._tasks[name]
        await asyncio.sleep(0)

    async def close(self) -> None:
        for name in self._tasks:
            await self.stops_waiting(name)

    async def _work(self, name: str, tenant: str, lane: Lane, is_long: bool) -> None:
        async with self.queue.slot(tenant, lane, is_long=is_long) as slot:
            self.running[name] = slot
            self.order.append(name)
            try:
                await self._ends[name].wait()
            finally:
                del self.running[name]


@asynccontextmanager
async def scene(processes: int) -> AsyncIterator[Scene]:
    made = Scene(processes)
    yield made
    await made.close()


@pytest.mark.parametrize("processes", [1, 2, 5])
async def test_one_decoder_is_kept_for_short_interactive_recordings(processes: int) -> None:
    async with scene(processes) as at:
        for number in range(processes + 3):
            await at.comes(f"batch {number}", "a", Lane.BATCH)
            await at.comes(f"long {number}", "b", Lane.INTERACTIVE, is_long=True)
        assert len(at.running) == processes
        assert sum(slot.is_long for slot in at.running.values()) <= max(1, processes - 1)
        await at.comes("short", "a", Lane.INTERACTIVE)
        assert "short" in at.running
        assert len(at.running) == processes + 1


async def test_what_turns_out_long_makes_room_for_a_neighbour_whatever_came_before() -> None:
    async with scene(1) as at:
        for number in range(500):
            await at.comes(f"hostile {number}", "hostile", Lane.INTERACTIVE)
        await at.comes("neighbour", "neighbour", Lane.INTERACTIVE)
        assert set(at.running) == {"hostile 0", "hostile 1"}
        first, second = at.running["hostile 0"], at.running["hostile 1"]
        at.queue.became_long(first, has_place=True)
        assert not first.must_yield
        at.queue.became_long(second, has_place=True)
        assert second.must_yield
        await at.ends("hostile 1", 4.0)
        assert set(at.running) == {"hostile 0", "neighbour"}


async def test_what_turns_out_long_yields_where_the_disk_for_such_is_full() -> None:
    async with scene(4) as at:
        await at.comes("one", "a")
        at.queue.became_long(at.running["one"], has_place=False)
        assert at.running["one"].must_yield


async def test_tenants_take_turns_by_the_time_that_they_used() -> None:
    async with scene(1) as at:
        for number in range(4):
            await at.comes(f"a{number}", "a")
        for number in range(4):
            await at.comes(f"b{number}", "b")
        for cost in (9.0, 1.0, 1.0, 1.0, 1.0, 9.0, 9.0):
            (name,) = at.running
            await at.ends(name, cost)
        assert at.order == ["a0", "b0", "b1", "b2", "b3", "a1", "a2", "a3"]


async def test_lanes_go_by_weight_and_none_starves() -> None:
    async with scene(1) as at:
        for number in range(80):
            await at.comes(f"i{number}", "a", Lane.INTERACTIVE, is_long=True)
            await at.comes(f"b{number}", "a", Lane.BATCH)
        for _ in range(100):
            (name,) = at.running
            await at.ends(name)
        served = [name[0] for name in at.order]
        assert 1 <= served[:70].count("b") <= 3
        assert served[0] == "i"


async def test_who_stops_waiting_or_is_cancelled_leaves_its_place() -> None:
    async with scene(1) as at:
        for name in ("first", "second", "third"):
            await at.comes(name, "a")
        await at.stops_waiting("second")
        await at.stops_waiting("first")
        assert set(at.running) == {"third"}


def _clock(*used: tuple[str, float]) -> UseClock[str]:
    clock: UseClock[str] = UseClock()
    for key, amount in used:
        clock.use(key, amount)
    return clock


async def test_silence_earns_nothing_and_is_forgotten() -> None:
    clock = _clock(("busy", 100.0))
    clock.serve("busy")
    assert clock.tag("newcomer") == clock.tag("busy") == 100.0
    clock.use("newcomer", 1.0)
    assert clock.tag("busy") < clock.tag("newcomer")
