"""Server-sent events: from the present state to the end."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import aclosing

import httpx
import pytest

pytestmark = pytest.mark.asyncio


async def events(client: httpx.AsyncClient, link: str) -> AsyncIterator[dict[str, str]]:
    """Each event's fields; comments come as `comment`."""
    async with client.stream("GET", link) as reply:
        assert reply.status_code == 200
        assert reply.headers["content-type"].startswith("text/event-stream")
        fields: dict[str, str] = {}
        async for line in reply.aiter_lines():
            if line:
                name, _, value = line.partition(":")
                fields[name or "comment"] = value.strip()
            elif fields:
                yield fields
                fields = {}


async def states(client: httpx.AsyncClient, link: str) -> list[str]:
    return [json.loads(e["data"])["status"] async for e in events(client, link) if "data" in e]


async def next_data(stream: AsyncIterator[dict[str, str]]) -> dict[str, object]:
    async for event in stream:
        if "data" in event:
            return {"event": event["event"], "id": event.get("id"), **json.loads(event["data"])}
    raise AssertionError("the stream ended")


async def test_a_task_is_followed_from_queued_to_completed(
    submit, client, platform, claim, transcript
):
    link = (await submit()).json()["links"]["events"]
    consumer = await platform.consumer()
    async with aclosing(events(client, link)) as stream:
        first = await next_data(stream)
        assert (first["event"], first["status"], first["position"]) == ("state", "queued", 1)
        held = await claim(consumer)
        assert (await next_data(stream))["status"] == "processing"
        await platform.complete(consumer, held, transcript)
        last = await next_data(stream)
        assert (last["status"], last["progress"]) == ("completed", 1.0)
        assert [event async for event in stream] == []


async def test_progress_is_told(submit, client, platform, claim, renew_progress):
    link = (await submit()).json()["links"]["events"]
    consumer = await platform.consumer()
    held = await claim(consumer)
    async with aclosing(events(client, link)) as stream:
        assert (await next_data(stream))["status"] == "processing"
        await renew_progress(held, 0.42)
        told = await next_data(stream)
    assert (told["event"], told["progress"]) == ("progress", 0.42)


async def test_a_finished_task_is_told_at_once(submit, client, platform, claim, transcript):
    link = (await submit()).json()["links"]["events"]
    consumer = await platform.consumer()
    await platform.complete(consumer, await claim(consumer), transcript)
    assert await asyncio.wait_for(states(client, link), 10) == ["completed"]


async def test_who_comes_again_after_the_end_is_told_to_stop(
    submit, client, platform, claim, transcript
):
    link = (await submit()).json()["links"]["events"]
    consumer = await platform.consumer()
    await platform.complete(consumer, await claim(consumer), transcript)
    async with aclosing(events(client, link)) as stream:
        seen = await next_data(stream)
    again = await client.get(link, headers={"Last-Event-ID": str(seen["id"])})
    assert again.status_code == 204


async def test_a_deleted_task_ends_the_stream(submit, client):
    body = (await submit()).json()
    async with aclosing(events(client, body["links"]["events"])) as stream:
        await next_data(stream)
        await client.delete(f"/api/v1/asr/task/{body['task_id']}")
        last = await next_data(stream)
        assert last["event"] == "deleted"
        assert [event async for event in stream] == []


async def test_a_silent_stream_is_kept_alive(start_platform, wav):
    platform = start_platform(events_heartbeat_seconds=0.05)
    async with httpx.AsyncClient(base_url=platform.url) as client:
        reply = await client.post("/api/v1/asr/submit", files={"audio": wav})
        async with aclosing(events(client, reply.json()["links"]["events"])) as stream:
            beats = 0
            async for event in stream:
                beats += event.get("comment") == "heartbeat"
                if beats == 3:
                    break
    assert beats == 3


async def test_a_stream_ends_after_its_time_and_its_client_comes_again(start_platform, wav):
    platform = start_platform(events_max_seconds=0.3)
    async with httpx.AsyncClient(base_url=platform.url) as client:
        reply = await client.post("/api/v1/asr/submit", files={"audio": wav})
        link = reply.json()["links"]["events"]
        for _ in range(2):
            assert await asyncio.wait_for(states(client, link), 10) == ["queued"]


async def test_a_stream_outlives_a_restart_of_redis(start_platform, own_redis, wav):
    platform = start_platform(redis_port=own_redis.port)
    async with httpx.AsyncClient(base_url=platform.url, timeout=30) as client:
        reply = await client.post("/api/v1/asr/submit", files={"audio": wav})
        async with aclosing(events(client, reply.json()["links"]["events"])) as stream:
            assert (await next_data(stream))["status"] == "queued"
            own_redis.kill()
            own_redis.start()
            await client.delete(f"/api/v1/asr/task/{reply.json()['task_id']}")
            last = await asyncio.wait_for(next_data(stream), 20)
    assert last["event"] == "deleted"


async def test_listeners_that_leave_free_their_subscription(submit, client, platform):
    link = (await submit()).json()["links"]["events"]
    redis = platform.admin()
    pattern = f"*{platform.settings.key_prefix}*"
    for _ in range(10):
        async with aclosing(events(client, link)) as stream:
            await next_data(stream)
            assert len(await redis.pubsub_channels(pattern)) == 1
        async with asyncio.timeout(10):
            while await redis.pubsub_channels(pattern):
                await asyncio.sleep(0.01)


async def test_events_of_an_unknown_task_are_404(client):
    assert (await client.get("/api/v1/asr/events/nothing")).status_code == 404
