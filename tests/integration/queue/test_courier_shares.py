"""Who of several tenants gets a slot of a courier: nobody takes all, and nobody waits behind a line
of another's.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Any

import pytest

from asr_core.errors import RetryPolicy
from asr_core.queue import Fetch, Fetching, Outbox, TryOutcome

pytestmark = pytest.mark.asyncio


@pytest.fixture
def fetching(queue: Any) -> Fetching:
    return Fetching(queue.connection, queue.settings)


async def submit_urls(queue: Any, tenant: str, count: int, *, hosts: int | None = None) -> None:
    for i in range(count):
        url = f"https://host-{i % (hosts or count)}.example/{i}"
        await queue.submit(tenant=tenant, bytes=0, duration_seconds=0, source_url=url)


async def take(
    fetching: Fetching, limit: int, *, busy: Mapping[str, int] | None = None, reserved: int = 2
) -> list[Fetch]:
    return await fetching.take(
        token="t", limit=limit, per_destination=2, busy=busy or {}, reserved=reserved
    )


def tenants_of(fetches: list[Fetch]) -> Counter[str]:
    return Counter(fetch.task.tenant for fetch in fetches)


async def test_a_tenant_alone_takes_most_slots_and_a_new_one_has_one_at_once(
    queue: Any, fetching: Fetching
) -> None:
    await submit_urls(queue, "many", 20)
    taken = await take(fetching, 8)
    assert len(taken) == 6
    busy = Counter(fetch.destination for fetch in taken)
    assert await take(fetching, 2, busy=busy) == []
    await submit_urls(queue, "new", 3)
    assert tenants_of(await take(fetching, 2, busy=busy)) == {"new": 1}


async def test_slots_are_shared_evenly_by_those_who_wait(queue: Any, fetching: Fetching) -> None:
    await submit_urls(queue, "first", 20)
    await submit_urls(queue, "second", 20)
    await submit_urls(queue, "third", 20)
    assert tenants_of(await take(fetching, 9, reserved=3)) == {"first": 2, "second": 2, "third": 2}


async def test_a_freed_slot_goes_to_whoever_has_the_fewest(queue: Any, fetching: Fetching) -> None:
    await submit_urls(queue, "many", 20)
    taken = await take(fetching, 8)
    await submit_urls(queue, "few", 20)
    busy = Counter(fetch.destination for fetch in taken)
    [one] = await take(fetching, 1, busy=busy)
    busy[one.destination] += 1
    assert (await take(fetching, 2, busy=busy)) == []
    gone = taken[:2]
    await fetching.failed(gone[0], RetryPolicy.PERMANENT, code="x", message="")
    await fetching.failed(gone[1], RetryPolicy.PERMANENT, code="x", message="")
    busy.subtract(fetch.destination for fetch in gone)
    assert tenants_of(await take(fetching, 3, busy=+busy)) == {"few": 1}


async def test_with_one_slot_tenants_take_turns(queue: Any, fetching: Fetching) -> None:
    await submit_urls(queue, "many", 9, hosts=1)
    await submit_urls(queue, "few", 2, hosts=1)
    served = []
    for _ in range(5):
        [fetch] = await take(fetching, 1, reserved=1)
        served.append(fetch.task.tenant)
        await fetching.failed(fetch, RetryPolicy.PERMANENT, code="x", message="")
    assert served == ["many", "few", "many", "few", "many"]


async def test_thousands_of_hosts_of_one_tenant_hide_no_other(
    queue: Any, fetching: Fetching
) -> None:
    """A script looks at a thousand lines at most."""
    await submit_urls(queue, "many", 1100)
    await submit_urls(queue, "one", 1)
    busy = Counter(fetch.destination for fetch in await take(fetching, 8, reserved=0))
    assert [line.split("|")[0] for line in busy].count("one") == 1


async def test_a_slow_host_holds_up_neither_another_host_nor_another_tenants_same_host(
    queue: Any, fetching: Fetching
) -> None:
    await submit_urls(queue, "many", 9, hosts=1)
    await submit_urls(queue, "other", 1, hosts=1)
    await queue.submit(
        tenant="many", bytes=0, duration_seconds=0, source_url="https://quick.example/"
    )
    taken = await take(fetching, 9)
    assert Counter(fetch.destination for fetch in taken) == {
        "many|host-0.example": 2,
        "many|quick.example": 1,
        "other|host-0.example": 1,
    }


async def test_lines_of_an_index_without_tenants_are_taken_up(
    queue: Any, fetching: Fetching
) -> None:
    await submit_urls(queue, "a", 2)
    index = dict.fromkeys(queue.raw.zrange("asr:lines:fetch:a", 0, -1), 1)
    assert len(index) == 2
    queue.raw.delete("asr:lines:fetch", "asr:lines:fetch:a")
    queue.raw.zadd("asr:lines:fetch", index)
    assert await take(fetching, 9) == []
    assert tenants_of(await take(fetching, 9)) == {"a": 2}
    assert queue.raw.zrange("asr:lines:fetch", 0, -1) == ["a"]


async def end_with_webhook(queue: Any, tenant: str, count: int) -> None:
    for i in range(count):
        ids = await queue.submit(tenant=tenant, webhook=f"https://{tenant}-{i}.example/")
        await queue.producer.cancel(ids[0])


async def test_webhooks_of_one_tenant_leave_room_and_slots_to_others(
    queue: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("asr_core.queue.outbox.CAPACITY", 10)
    monkeypatch.setattr("asr_core.queue.outbox.TENANT_CAPACITY", 5)
    outbox = Outbox(queue.connection)
    await end_with_webhook(queue, "many", 9)
    await end_with_webhook(queue, "one", 1)
    taken = await outbox.take(token="t", limit=4, per_destination=4, busy={}, reserved=1)
    assert Counter(hook.destination.split("|")[0] for hook in taken) == {"many": 2, "one": 1}
    dead = (await outbox.dead()).webhooks
    assert [d.webhook.reason for d in dead] == ["too many webhooks of this tenant wait already"] * 4
    assert taken[0].receiver == "many-0.example"
    for hook in taken:
        await outbox.report(hook, TryOutcome.DONE)
    await outbox.redrive([dead[0].place])
    assert queue.raw.hgetall("asr:webhooks:tenants") == {"many": "4"}
