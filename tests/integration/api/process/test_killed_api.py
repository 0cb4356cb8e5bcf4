"""An API that dies in the middle of a submission: nothing is lost, nothing is done twice."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import httpx
import pytest

from chaos.proxy import FaultProxy, Snag

pytestmark = pytest.mark.asyncio

SUBMIT = "/api/v1/asr/submit"
SUBMIT_SCRIPT = b'"idempotency_ms"'
KEY = {"Idempotency-Key": "order-17"}


async def send(url: str, audio: bytes, headers: dict[str, str] | None = None) -> httpx.Response:
    async with httpx.AsyncClient(base_url=url, timeout=30) as client:
        return await client.post(SUBMIT, files={"audio": ("a.wav", audio)}, headers=headers)


@pytest.fixture
def kill_api_at(
    start_api: Any, redis_server: Any, wav: bytes
) -> Callable[[Callable[[FaultProxy], Snag]], Coroutine[Any, Any, None]]:
    """Submits with KEY to an API that is killed while the snag holds its submit script."""

    async def kill(arm: Callable[[FaultProxy], Snag]) -> None:
        async with FaultProxy(redis_server.port) as proxy:
            api = start_api(redis_port=proxy.port)
            await asyncio.to_thread(api.wait_until_ready)
            first = await send(api.url, wav)  # from now on Redis knows the script
            assert first.status_code == 202
            snag = arm(proxy)
            reply = asyncio.create_task(send(api.url, wav, KEY))
            await asyncio.wait_for(snag.caught.wait(), 20)
            api.kill()
            with pytest.raises(httpx.TransportError):
                await reply
            snag.cut()

    return kill


async def test_an_api_killed_between_blob_and_submit_leaves_an_orphan_that_is_swept(
    kill_api_at: Any, start_api: Any, behind: Any, wav: bytes, transcript: Any
) -> None:
    await kill_api_at(lambda proxy: proxy.stop_request(SUBMIT_SCRIPT))
    (first,) = await behind.task_ids()
    assert len(behind.stored()) == 2  # the first submission's audio, and the orphan
    other = start_api()
    await asyncio.to_thread(other.wait_until_ready)
    again = await send(other.url, wav, KEY)
    assert (again.status_code, again.headers.get("idempotency-replayed")) == (202, None)
    task_id = again.json()["task_id"]
    swept = await behind.sweep()
    assert (swept.orphans, swept.deleted) == (1, 1)
    assert behind.stored() == [f"audio/{first}", f"audio/{task_id}"]
    assert await behind.work(transcript) == [first, task_id]
    assert (await send(other.url, wav, KEY)).json()["task_id"] == task_id
    assert sorted(await behind.task_ids()) == [first, task_id]


async def test_an_api_killed_between_submit_and_reply_gives_the_same_key_the_same_task(
    kill_api_at: Any, start_api: Any, behind: Any, wav: bytes, transcript: Any
) -> None:
    await kill_api_at(lambda proxy: proxy.stop_reply(SUBMIT_SCRIPT))
    first, queued = sorted(await behind.task_ids())
    other = start_api()
    await asyncio.to_thread(other.wait_until_ready)
    again = await send(other.url, wav, KEY)
    assert (again.status_code, again.json()["task_id"]) == (202, queued)
    assert again.headers["idempotency-replayed"] == "true"
    assert behind.stored() == [f"audio/{first}", f"audio/{queued}"]
    assert await behind.work(transcript) == [first, queued]
    assert (await behind.sweep()).orphans == 0


async def test_a_hundred_submissions_at_once_under_one_key_are_one_task(
    start_api: Any, behind: Any, wav: bytes, make_wav: Any, transcript: Any
) -> None:
    apis = [start_api(), start_api()]
    for api in apis:
        await asyncio.to_thread(api.wait_until_ready)
    everything_at_once = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(timeout=60, limits=everything_at_once) as client:
        replies = await asyncio.gather(
            *(
                client.post(f"{apis[n % 2].url}{SUBMIT}", files={"audio": wav}, headers=KEY)
                for n in range(100)
            )
        )
    assert {reply.status_code for reply in replies} == {202}
    (task_id,) = {reply.json()["task_id"] for reply in replies}
    assert sum("idempotency-replayed" not in reply.headers for reply in replies) == 1
    assert behind.stored() == [f"audio/{task_id}"]
    for api in apis:
        other_body = await send(api.url, make_wav(0.5), KEY)
        assert other_body.status_code == 409
        assert other_body.json()["error"]["code"] == "idempotency_conflict"
    assert await behind.work(transcript) == [task_id]
    assert await behind.task_ids() == [task_id]
    assert behind.stored() == [f"audio/{task_id}", f"results/{task_id}/1.json"]
    assert all(api.spooled() == [] for api in apis)
