"""Webhooks, from a submitted task to a receiver that may be anything."""

import asyncio
import signal
import time
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
import pytest_asyncio
from standardwebhooks import Webhook as Verifier

from asr_core.queue import Outbox, Producer

pytestmark = pytest.mark.asyncio
Submit = Callable[[str], Awaitable[str]]


@pytest_asyncio.fixture
async def outbox(own_platform: Any) -> Outbox:
    return Outbox(own_platform.connect())


@pytest.fixture
def cancelled_task(own_platform: Any, wav: bytes) -> Submit:
    """Submits a recording with a webhook and cancels it: the shortest way to an end."""

    async def submit(webhook: str) -> str:
        async with httpx.AsyncClient(base_url=own_platform.url, timeout=30) as client:
            reply = await client.post(
                "/api/v1/asr/submit", files={"audio": wav}, data={"webhook": webhook}
            )
        assert reply.status_code == 202, reply.text
        producer = Producer(own_platform.connect(), own_platform.settings)
        return (await producer.cancel(reply.json()["task_id"])).task_id

    return submit


async def until(condition: Callable[[], Awaitable[bool]], seconds: float = 20) -> None:
    async with asyncio.timeout(seconds):
        while not await condition():
            await asyncio.sleep(0.05)


async def is_empty(outbox: Outbox) -> bool:
    return (await outbox.depth()).waiting == 0


async def test_a_receiver_is_told_once_and_can_verify_it(
    start_server: Any,
    start_courier: Any,
    cancelled_task: Submit,
    outbox: Outbox,
    secret: str,
    free_port: int,
) -> None:
    receiver = await start_server()
    task_id = await cancelled_task(receiver.url("/hook?key=k"))
    await start_courier(metrics_port=free_port)
    (request,) = await receiver.wait_for(1)
    told = Verifier(secret).verify(request.body, request.headers)
    assert (request.method, request.path) == ("POST", "/hook?key=k")
    assert told["type"] == "task.cancelled"
    assert told["data"]["task_id"] == task_id
    await until(lambda: is_empty(outbox))
    assert len(receiver.requests) == 1
    async with httpx.AsyncClient() as client:
        counted = (await client.get(f"http://127.0.0.1:{free_port}/metrics")).text
    assert 'asr_webhooks_total{outcome="done"} 1.0' in counted
    assert "asr_webhook_delivery_seconds_count 1.0" in counted
    assert "asr_fetches_waiting 0.0" in counted


async def test_a_receiver_that_fails_at_first_gets_the_same_message_again(
    start_server: Any, answers: Any, start_courier: Any, cancelled_task: Submit, outbox: Outbox
) -> None:
    receiver = await start_server(
        answers.reply(500), answers.stall(), answers.reply(429), answers.reply(302, Location="/"),
        answers.reply(200, b"thanks"),
    )  # fmt: skip
    await cancelled_task(receiver.url("/hook"))
    await start_courier(webhook_timeout_seconds=0.3)
    requests = await receiver.wait_for(5)
    await until(lambda: is_empty(outbox))
    assert {request.path for request in requests} == {"/hook"}, "a redirect was followed"
    assert len({request.headers["webhook-id"] for request in requests}) == 1
    assert len({request.body for request in requests}) == 1
    assert (await outbox.depth()).dead == 0


@pytest.mark.parametrize("status", [400, 410])
async def test_a_receiver_that_refuses_is_not_asked_again_until_somebody_puts_it_back(
    status: int,
    start_server: Any,
    answers: Any,
    start_courier: Any,
    cancelled_task: Submit,
    outbox: Outbox,
) -> None:
    receiver = await start_server(answers.reply(status), answers.reply(200))
    task_id = await cancelled_task(receiver.url())
    await start_courier()
    await until(lambda: is_empty_and_dead(outbox, 1))
    (dead,) = (await outbox.dead()).webhooks
    assert (dead.webhook.task_id, dead.webhook.attempts) == (task_id, 1)
    assert dead.webhook.reason == f"the receiver answered {status}"
    assert len(receiver.requests) == 1
    assert await outbox.redrive([dead.place]) == [dead.webhook.webhook_id]
    first, again = await receiver.wait_for(2)
    assert first.headers["webhook-id"] == again.headers["webhook-id"]
    await until(lambda: is_empty_and_dead(outbox, 0))


async def is_empty_and_dead(outbox: Outbox, dead: int) -> bool:
    depth = await outbox.depth()
    return (depth.waiting, depth.dead) == (0, dead)


async def test_a_receiver_that_stays_down_ends_among_the_dead_after_its_last_try(
    free_port: int, start_courier: Any, cancelled_task: Submit, outbox: Outbox
) -> None:
    await cancelled_task(f"http://127.0.0.1:{free_port}/")
    await start_courier(webhook_retry_seconds=(0.05, 0.05))
    await until(lambda: is_empty_and_dead(outbox, 1))
    (dead,) = (await outbox.dead()).webhooks
    assert dead.webhook.attempts == 3
    assert dead.webhook.reason == (
        "no connection, or no reply within 1 seconds, and so ended the last of 3 tries"
    )


async def test_retry_after_is_heeded(
    start_server: Any, answers: Any, start_courier: Any, cancelled_task: Submit
) -> None:
    receiver = await start_server(answers.reply(503, Retry_After="2"), answers.reply(200))
    await cancelled_task(receiver.url())
    await start_courier(webhook_retry_seconds=(0.05,))
    first, second = await receiver.wait_for(2)
    assert second.at - first.at > 1.9


async def test_a_slow_receiver_and_one_that_talks_for_ever_hold_up_nobody(
    start_server: Any, answers: Any, start_courier: Any, cancelled_task: Submit
) -> None:
    slow, talker, quick = (
        await start_server(answers.stall()),
        await start_server(answers.endless()),
        await start_server(),
    )
    for receiver in (slow, slow, slow, slow, talker, quick):
        await cancelled_task(receiver.url())
    await start_courier(webhooks_at_once=4, webhooks_per_host=2, webhook_timeout_seconds=10.0)
    began = time.monotonic()
    await quick.wait_for(1)
    await talker.wait_for(1)
    assert time.monotonic() - began < 10.0
    assert len(slow.requests) <= 2


async def test_of_a_reply_without_an_end_a_little_is_read_and_that_is_enough(
    start_server: Any, answers: Any, start_courier: Any, cancelled_task: Submit, outbox: Outbox
) -> None:
    talker = await start_server(answers.endless())
    await cancelled_task(talker.url())
    await start_courier(webhook_timeout_seconds=60.0)
    await until(lambda: is_empty_and_dead(outbox, 0))
    assert len(talker.requests) == 1


async def test_a_receiver_whose_name_leads_inward_is_never_called(
    start_server: Any, start_courier: Any, cancelled_task: Submit, outbox: Outbox
) -> None:
    receiver = await start_server()
    await cancelled_task(f"http://localhost:{receiver.port}/")
    await start_courier(allow_private_urls=(), webhook_retry_seconds=(0.05,))
    await until(lambda: is_empty_and_dead(outbox, 1))
    assert receiver.requests == []


async def test_a_courier_killed_between_deliveries_loses_nothing_and_keeps_the_id(
    start_server: Any,
    answers: Any,
    courier_programs: Any,
    cancelled_task: Submit,
    outbox: Outbox,
    secret: str,
) -> None:
    receiver = await start_server(answers.stall(), answers.reply(200))
    hanging = await cancelled_task(receiver.url("/?code=hush"))
    killed = courier_programs.start()
    (first,) = await receiver.wait_for(1)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    later = await cancelled_task(receiver.url())
    second = courier_programs.start()
    requests = await receiver.wait_for(3)
    told = [Verifier(secret).verify(r.body, r.headers)["data"]["task_id"] for r in requests]
    assert sorted(told) == sorted([hanging, hanging, later])
    same = [r.headers["webhook-id"] for r, t in zip(requests, told, strict=True) if t == hanging]
    assert same == [first.headers["webhook-id"]] * 2
    await until(lambda: is_empty(outbox))
    second.send_signal(signal.SIGTERM)
    assert second.wait(20) == 0
    log = courier_programs.log(1)
    assert "webhook_done" in log
    assert "hush" not in log + courier_programs.log(0)
    assert secret not in log


async def test_several_couriers_share_and_tell_each_receiver_once(
    start_server: Any, start_courier: Any, cancelled_task: Submit, outbox: Outbox
) -> None:
    receiver = await start_server()
    ids = [await cancelled_task(receiver.url()) for _ in range(12)]
    for _ in range(3):
        await start_courier()
    requests = await receiver.wait_for(len(ids))
    await until(lambda: is_empty(outbox))
    assert len({request.headers["webhook-id"] for request in requests}) == len(ids)
    assert len(receiver.requests) == len(ids)


async def test_a_webhook_that_leads_inward_is_refused_at_once(
    own_platform: Any, wav: bytes
) -> None:
    async with httpx.AsyncClient(base_url=own_platform.url) as client:
        for url in (
            "http://10.0.0.1/",
            "http://0x0a.1/",
            "https://u:p@example.com/",
            "example.com",
        ):
            reply = await client.post(
                "/api/v1/asr/submit", files={"audio": wav}, data={"webhook": url}
            )
            error = reply.json()["error"]
            told = (reply.status_code, error["code"], error["param"])
            assert told == (422, "url_refused", "webhook")


async def test_without_a_secret_a_webhook_is_refused_with_the_setting_to_set(
    platform: Any, wav: bytes
) -> None:
    async with httpx.AsyncClient(base_url=platform.url) as client:
        reply = await client.post(
            "/api/v1/asr/submit", files={"audio": wav}, data={"webhook": "https://example.com/"}
        )
    error = reply.json()["error"]
    assert (reply.status_code, error["param"]) == (422, "webhook")
    assert "ASR_WEBHOOK_SECRET" in error["message"]
