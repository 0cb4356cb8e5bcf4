"""Shares of the work folder."""

from __future__ import annotations

import asyncio

import pytest

from asr_worker.in_flight.disk_quota import DiskQuota, DiskShare

pytestmark = pytest.mark.asyncio


async def _settle() -> None:
    for _ in range(3):
        await asyncio.sleep(0)


async def test_shares_are_given_in_order_while_there_is_room() -> None:
    quota = DiskQuota(100)
    first = await quota.share(60)
    given: list[str] = []

    async def want(name: str, size_bytes: int) -> DiskShare:
        share = await quota.share(size_bytes)
        given.append(name)
        return share

    large = asyncio.create_task(want("large", 50))
    small = asyncio.create_task(want("small", 10))
    await _settle()
    # The small one would fit, and must not overtake for ever.
    assert given == []
    first.resize(40)
    await _settle()
    assert given == ["large", "small"]
    assert quota.used_bytes == 100
    for share in (first, large.result(), small.result()):
        share.free()
    assert quota.used_bytes == 0


async def test_who_needs_more_than_there_is_gets_it_alone() -> None:
    quota = DiskQuota(100)
    first = await quota.share(1)
    giant = asyncio.create_task(quota.share(1000))
    await _settle()
    assert not giant.done()
    first.free()
    share = await giant
    next_one = asyncio.create_task(quota.share(1))
    await _settle()
    assert not next_one.done()
    share.free()
    await next_one


async def test_what_turned_out_larger_keeps_the_next_ones_waiting() -> None:
    quota = DiskQuota(100)
    liar = await quota.share(1)
    liar.resize(5000)
    waiting = asyncio.create_task(quota.share(1))
    await _settle()
    assert not waiting.done()
    liar.free()
    await waiting


@pytest.mark.parametrize("admitted", [False, True])
async def test_who_stops_waiting_holds_nothing_and_blocks_nobody(admitted: bool) -> None:
    quota = DiskQuota(100)
    first = await quota.share(100)
    leaving = asyncio.create_task(quota.share(100))
    behind = asyncio.create_task(quota.share(10))
    await _settle()
    if admitted:
        first.free()  # it has its share, and has not run yet
    leaving.cancel()
    first.free()
    assert (await behind).size_bytes == 10
    assert leaving.cancelled()
    assert quota.used_bytes == 10


async def test_what_is_kept_goes_to_owners_that_hold_nothing_however_much_others_grew() -> None:
    quota = DiskQuota(100, reserved_bytes=20)
    liar = await quota.share(1, "liar")
    liar.resize(5000)
    again = asyncio.create_task(quota.share(1, "liar"))
    neighbour = await quota.share(10, "neighbour")
    third = asyncio.create_task(quota.share(11, "third"))
    await _settle()
    assert not again.done()
    assert not third.done()  # nothing is kept twice
    neighbour.free()
    assert (await third).size_bytes == 11
    liar.free()
    await again


async def test_a_share_moves_to_another_room_and_leaves_its_place() -> None:
    quota, other = DiskQuota(100), DiskQuota(100)
    share = await quota.share(90)
    waiting = asyncio.create_task(quota.share(50))
    share.move(other)
    assert (await waiting).size_bytes == 50
    share.resize(200)
    assert (quota.used_bytes, other.used_bytes, other.is_full) == (50, 200, True)
    share.free()
    share.free()
    assert other.used_bytes == 0
