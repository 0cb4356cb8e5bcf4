"""Slots that tenants share."""

import asyncio
from contextlib import suppress

import pytest

from asr_api.probe.fair_slots import FairSlots


async def served(size: int, tenants: str) -> str:
    """In which order tenants get a slot that the first `size` of them hold at first."""
    slots, order = FairSlots(size), list[str]()
    first = asyncio.Event()

    async def use(tenant: str) -> None:
        async with slots.hold(tenant, wait_seconds=10):
            order.append(tenant)
            await first.wait()

    users = []
    for tenant in tenants:
        users.append(asyncio.create_task(use(tenant)))
        await asyncio.sleep(0)
    assert len(order) == size
    first.set()
    await asyncio.gather(*users)
    return "".join(order)


@pytest.mark.parametrize(
    ("size", "tenants", "order"),
    [
        (1, "aaaab", "abaaa"),
        (1, "aaabbbc", "abcabab"),
        (2, "aaaaaab", "aabaaaa"),
        (3, "abbbbc", "abbcbb"),
    ],
)
def test_a_free_slot_goes_to_the_tenant_with_the_fewest(
    size: int, tenants: str, order: str
) -> None:
    assert asyncio.run(served(size, tenants)) == order


def test_whoever_gives_up_or_fails_leaves_no_slot_taken() -> None:
    async def run() -> None:
        slots = FairSlots(1)
        with suppress(ZeroDivisionError):
            async with slots.hold("a", wait_seconds=1):
                with pytest.raises(TimeoutError):
                    await slots.hold("b", wait_seconds=0.01).__aenter__()
                waiting = asyncio.create_task(slots.hold("b", wait_seconds=9).__aenter__())
                await asyncio.sleep(0)
                waiting.cancel()
                await asyncio.gather(waiting, return_exceptions=True)
                raise ZeroDivisionError
        async with slots.hold("c", wait_seconds=0.01):
            return

    asyncio.run(run())


def test_what_a_tenant_had_before_does_not_count_against_it_nor_makes_room_for_two() -> None:
    async def run() -> None:
        slots, order = FairSlots(1), list[str]()
        for _ in range(3):
            async with slots.hold("a", wait_seconds=1):
                pass

        async def use(tenant: str) -> None:
            async with slots.hold(tenant, wait_seconds=9):
                order.append(tenant)

        async with slots.hold("c", wait_seconds=1):
            users = []
            for tenant in "ab":
                users.append(asyncio.create_task(use(tenant)))
                await asyncio.sleep(0)
            assert order == [], "there is one slot, however often it was given back"
        await asyncio.gather(*users)
        assert order == ["a", "b"]

    asyncio.run(run())


def test_one_cancelled_in_the_moment_it_is_served_hands_its_slot_on() -> None:
    async def run() -> None:
        slots = FairSlots(1)
        holding = slots.hold("a", wait_seconds=1)
        await holding.__aenter__()
        unlucky = asyncio.create_task(slots.hold("b", wait_seconds=9).__aenter__())
        await asyncio.sleep(0)
        await holding.__aexit__(None, None, None)
        unlucky.cancel()
        await asyncio.gather(unlucky, return_exceptions=True)
        async with slots.hold("c", wait_seconds=0.01):
            return

    asyncio.run(run())
