"""What the app does beside answering."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from asr_core.queue import Failure

pytestmark = pytest.mark.asyncio


async def test_a_task_that_failed_for_the_moment_is_queued_again_when_its_time_has_come(
    submit, client, platform, claim
):
    body = (await submit()).json()
    consumer = await platform.consumer()
    held = await claim(consumer)
    await consumer.fail([Failure(held.task.task_id, held.token, "engine_failed", "oom", False)])
    status = (await client.get("/api/v1/asr/queue/status")).json()
    assert (status["waiting"], status["delayed"]) == (0, 1)
    async with asyncio.timeout(15):
        while (await client.get("/api/v1/asr/queue/status")).json()["waiting"] != 1:
            await asyncio.sleep(0.05)
    assert (await claim(consumer)).task.task_id == body["task_id"]


async def test_store_and_redis_are_marked_before_the_first_recording_comes(
    start_platform, own_redis, wav
):
    """Else a store with audio and without a mark could never be swept."""
    own_redis.kill()
    platform = start_platform(redis_port=own_redis.port)
    own_redis.start()

    async with httpx.AsyncClient(base_url=platform.url) as client:
        reply = await client.post("/api/v1/asr/submit", files={"audio": wav})
    assert reply.status_code == 202
    assert await platform.store.get("epoch")
    assert platform.app.state.services.housekeeping.prepared


async def test_a_store_of_another_redis_is_served_but_not_swept(start_platform, wav, tmp_path):
    store = tmp_path / "store-of-another"
    (store / "audio").mkdir(parents=True)
    (store / "audio" / "0197d4a5-2f6e-7c3a-9b1d-4e8f2a6c0d11").write_bytes(b"precious")
    (store / "epoch").write_text("another")

    platform = start_platform(store_url=f"file://{store}")
    async with httpx.AsyncClient(base_url=platform.url) as client:
        reply = await client.post("/api/v1/asr/submit", files={"audio": wav})
    assert reply.status_code == 202
    assert len(list((store / "audio").iterdir())) == 2
    assert (store / "epoch").read_text() == "another"


async def test_the_app_stops_clean_with_a_stream_open(start_platform, wav):
    """The fixture asserts that the server's thread ends."""

    platform = start_platform()
    client = httpx.AsyncClient(base_url=platform.url)
    reply = await client.post("/api/v1/asr/submit", files={"audio": wav})
    request = client.build_request("GET", reply.json()["links"]["events"])
    stream = await client.send(request, stream=True)
    assert stream.status_code == 200
