"""Whoever may submit learns nothing about names and addresses inside: neither from an error nor
from how often it is tried.
"""

import socket
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from asr_core.queue import Outbox, Producer

pytestmark = pytest.mark.asyncio
ADDRESSES = {
    "private.example": ["10.9.8.7"],
    "metadata.example": ["169.254.169.254"],
    "both.example": ["1.1.1.1", "10.9.8.7"],
    "embedded.example": ["64:ff9b::a09:807"],
}
UNKNOWN = ("unknown.example", "stalled.example", "x" * 60 + ".example")


@pytest.fixture(autouse=True)
def _names(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the resolver of this place knows."""
    look_up: Callable[..., Any] = socket.getaddrinfo

    def answer(host: Any, port: Any, *args: Any, **kwargs: Any) -> Any:
        if kwargs.get("flags", 0) & socket.AI_NUMERICHOST:  # asks whether it is an address
            return look_up(host, port, *args, **kwargs)
        name = host.decode() if isinstance(host, bytes) else str(host)
        if name == "stalled.example":
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        if name in UNKNOWN:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        if name not in ADDRESSES:
            return look_up(host, port, *args, **kwargs)
        return [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))
            for address in ADDRESSES[name]
        ]

    monkeypatch.setattr(socket, "getaddrinfo", answer)


async def test_no_error_of_a_fetch_tells_whether_a_name_is_known_inside(
    own_platform: Any,
    start_server: Any,
    answers: Any,
    start_courier: Any,
    until: Any,
    free_port: int,
) -> None:
    urls = [f"http://{name}/a.wav" for name in (*ADDRESSES, *UNKNOWN)]
    urls += [f"http://private.example:{free_port}/", f"http://127.0.0.1:{free_port}/"]
    inward = [*urls, "http://10.9.8.7/", "http://169.254.169.254/latest/", "http://[::1]/"]
    for location in inward:
        server = await start_server(answers.reply(302, Location=location))
        urls.append(server.url())
    async with httpx.AsyncClient(base_url=own_platform.url, timeout=30) as client:
        replies = [await client.post("/api/v1/asr/submit", json={"url": url}) for url in urls]
    assert {reply.status_code for reply in replies} == {202}
    await start_courier(fetches_at_once=64, fetches_per_host=64, retry_limit=2)
    producer = Producer(own_platform.connect(), own_platform.settings)
    ids = [reply.json()["task_id"] for reply in replies]

    async def all_failed() -> bool:
        return all([(await producer.get(task_id)).state == "failed" for task_id in ids])

    await until(all_failed)
    told = {}
    for url, task_id in zip(urls, ids, strict=True):
        task = await producer.get(task_id)
        assert task.error is not None
        told[url] = (task.error.code, task.error.message, task.fetch_tries)
    assert len(set(told.values())) == 1, told
    assert told[urls[0]][0] == "fetch_unavailable"


async def test_no_reason_of_a_webhook_tells_whether_a_name_is_known_inside(
    own_platform: Any, start_courier: Any, until: Any, free_port: int, wav: bytes
) -> None:
    urls = [f"http://{name}/hook" for name in (*ADDRESSES, *UNKNOWN)]
    urls.append(f"http://127.0.0.1:{free_port}/")
    producer = Producer(own_platform.connect(), own_platform.settings)
    async with httpx.AsyncClient(base_url=own_platform.url, timeout=30) as client:
        for url in urls:
            reply = await client.post(
                "/api/v1/asr/submit", files={"audio": wav}, data={"webhook": url}
            )
            await producer.cancel(reply.json()["task_id"])
    await start_courier(webhook_retry_seconds=(0.05, 0.05))
    outbox = Outbox(own_platform.connect())

    async def all_dead() -> bool:
        return (await outbox.depth()).dead == len(urls)

    await until(all_dead)
    dead = [letter.webhook for letter in (await outbox.dead()).webhooks]
    assert {(webhook.attempts, webhook.reason) for webhook in dead} == {
        (3, "no connection, or no reply within 1 seconds, and so ended the last of 3 tries")
    }
