"""Tenants with weights share a backlog in about their ratio, and starve nobody."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
import pytest_asyncio

from asr_core.access import TenantLimits
from asr_core.queue import Tenants
from asr_core.settings.queue import TenantSettings

pytestmark = pytest.mark.asyncio


@pytest_asyncio.fixture
async def tenants(queue: Any) -> Tenants:
    return Tenants(queue.connection, TenantSettings(_env_file=None))


async def served(queue: Any, consumer: Any, count: int) -> Counter[str]:
    """Who gets the next `count` places, one claim at a time, as workers with little room do."""
    names = Counter[str]()
    for _ in range(count):
        [claim] = await queue.claim(consumer, 1)
        names[claim.task.tenant] += 1
        await queue.finish(consumer, claim)
    return names


async def test_weights_of_one_and_three_get_service_in_that_ratio(
    queue: Any, tenants: Tenants
) -> None:
    await tenants.set_limits("three", TenantLimits(weight=3))
    await queue.submit(300, tenant="one")
    await queue.submit(300, tenant="three")
    names = await served(queue, await queue.consumer(), 320)
    assert 2.5 < names["three"] / names["one"] < 3.5


async def test_a_single_file_beside_two_heavy_tenants_waits_for_their_windows_and_no_longer(
    queue: Any, tenants: Tenants
) -> None:
    await tenants.set_limits("three", TenantLimits(weight=3))
    await queue.submit(200, tenant="one")
    await queue.submit(200, tenant="three")
    [lone] = await queue.submit(tenant="lone")
    consumer = await queue.consumer()
    order = [(await queue.claim(consumer, 1))[0].task.task_id for _ in range(16 + 48 + 1)]
    assert lone in order


async def test_a_weight_below_a_window_leaves_one_place(queue: Any, tenants: Tenants) -> None:
    await tenants.set_limits("least", TenantLimits(weight=0.01))
    await queue.submit(40, tenant="least")
    consumer = await queue.consumer()
    assert queue.raw.hget("asr:undelivered:default:normal", "least") == "1"
    assert await served(queue, consumer, 40) == {"least": 40}


async def test_a_changed_weight_is_felt_by_what_already_waits(queue: Any, tenants: Tenants) -> None:
    await queue.submit(200, tenant="acme")
    consumer = await queue.consumer()
    await tenants.set_limits("acme", TenantLimits(weight=2))
    await served(queue, consumer, 1)
    assert queue.raw.hget("asr:undelivered:default:normal", "acme") == "32"
    await tenants.set_limits("acme", TenantLimits(weight=0.5))
    await served(queue, consumer, 60)
    assert queue.raw.hget("asr:undelivered:default:normal", "acme") == "8"
    assert (await queue.upkeep.reconcile(force=True)).repaired == {}
    assert await served(queue, consumer, 139) == {"acme": 139}


async def test_a_changed_weight_keeps_the_order_of_a_tenants_tasks(
    queue: Any, tenants: Tenants
) -> None:
    ids = await queue.submit(60, tenant="acme")
    consumer = await queue.consumer()
    await tenants.set_limits("acme", TenantLimits(weight=2))
    ids += await queue.submit(10, tenant="acme")
    claimed = [c.task.task_id for c in await queue.claim(consumer)]
    assert claimed == ids
