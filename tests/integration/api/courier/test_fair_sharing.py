"""A hostile tenant's URLs and webhooks beside another's: theirs may take long, the other's do not
wait for them.
"""

from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from asr_core.access import Scope
from asr_core.queue import ApiKeyStore, Fetching, Outbox, Producer

pytestmark = pytest.mark.asyncio
Submit = Callable[..., Awaitable[str]]
LOCAL = ("127.0.0.0/8",)


@pytest.fixture
def own_platform(start_platform: Callable[..., Any], secret: str) -> Any:
    """As that of the folder, with tenants."""
    return start_platform(
        auth="keys", webhook_secret=(secret,), allow_private_urls=LOCAL, lease_seconds=2.0
    )


@pytest.fixture
def submit(own_platform: Any) -> Submit:
    """Submits as a tenant: a URL, or a file with a webhook."""
    keys: dict[str, str] = {}
    ring = ApiKeyStore(own_platform.connect())

    async def send(tenant: str, **request: Any) -> str:
        if tenant not in keys:
            keys[tenant], _ = await ring.create("k", tenant=tenant, scopes=[Scope.TRANSCRIBE])
        headers = {"Authorization": f"Bearer {keys[tenant]}"}
        async with httpx.AsyncClient(base_url=own_platform.url, timeout=30) as client:
            reply = await client.post("/api/v1/asr/submit", headers=headers, **request)
        assert reply.status_code == 202, reply.text
        return str(reply.json()["task_id"])

    return send


@pytest.mark.parametrize("couriers", [1, 2])
async def test_anothers_recording_is_fetched_before_any_of_those_that_trickle_has_ended(
    couriers: int,
    own_platform: Any,
    start_server: Any,
    answers: Any,
    start_courier: Any,
    submit: Submit,
    until: Any,
    wav: bytes,
) -> None:
    producer = Producer(own_platform.connect(), own_platform.settings)

    async def state(task_id: str) -> str:
        return (await producer.get(task_id)).state.value

    trickling = [await start_server(answers.endless(0.05, b"x")) for _ in range(8)]
    hostile = [
        await submit("hostile", json={"url": server.url(f"/{i}.wav")})
        for server in trickling
        for i in range(2)
    ]
    for _ in range(couriers):
        await start_courier(fetches_at_once=4)

    async def most_slots_are_taken() -> bool:
        return sum(len(server.requests) for server in trickling) >= 3 * couriers

    await until(most_slots_are_taken)
    quick = await start_server(answers.reply(200, wav))
    neighbours = await submit("neighbour", json={"url": quick.url("/a.wav")})

    async def is_fetched() -> bool:
        return await state(neighbours) == "queued"

    await until(is_fetched)
    assert {await state(task_id) for task_id in hostile} == {"fetching"}


async def test_anothers_webhook_is_delivered_before_any_of_those_that_hang_has_ended(
    own_platform: Any,
    start_server: Any,
    answers: Any,
    start_courier: Any,
    submit: Submit,
    until: Any,
    wav: bytes,
) -> None:
    producer = Producer(own_platform.connect(), own_platform.settings)
    outbox = Outbox(own_platform.connect())

    async def end_task(tenant: str, webhook: str) -> None:
        task_id = await submit(tenant, files={"audio": wav}, data={"webhook": webhook})
        await producer.cancel(task_id)

    hanging = [await start_server(answers.stall()) for _ in range(8)]
    for server in hanging:
        await end_task("hostile", server.url())
    await start_courier(webhooks_at_once=4, webhook_timeout_seconds=60.0)

    async def most_slots_are_taken() -> bool:
        return sum(len(server.requests) for server in hanging) >= 3

    await until(most_slots_are_taken)
    receiver = await start_server()
    await end_task("neighbour", receiver.url())
    await receiver.wait_for(1)
    assert (await outbox.depth()).waiting >= len(hanging)


async def test_all_spellings_of_a_server_are_one_line(
    own_platform: Any, free_port: int, submit: Submit
) -> None:
    port = free_port
    for authority in (
        f"127.0.0.1:{port}", f"127.0.0.1:00{port}", f"127.1:{port}", f"2130706433:{port}",
        f"0x7F.0.0.1:{port}", f"0177.0.0.01:{port}", f"127.0.0.1.:{port}",
        f"[::ffff:127.0.0.1]:{port}", f"[::FFFF:7f00:1]:{port}", f"①②⑦.0.0.1:{port}",
    ):  # fmt: skip
        await submit("tenant", json={"url": f"HTTP://{authority}/a.wav?B=%41#part"})
    for authority in (
        "Example.COM",
        "example.com.",
        "example.com:80",
        "example.com:",
        "ｅxample.com",
    ):
        await submit("tenant", json={"url": f"http://{authority}/"})
    fetching = Fetching(own_platform.connect(), own_platform.settings)
    taken = await fetching.take(token="t", limit=20, per_destination=2, busy={})
    lines = [f"tenant|127.0.0.1:{port}", "tenant|example.com"]
    assert sorted(fetch.destination for fetch in taken) == sorted(lines * 2)
    local = {fetch.task.source_url for fetch in taken if "127" in fetch.destination}
    assert local == {f"http://127.0.0.1:{port}/a.wav?B=%41"}
