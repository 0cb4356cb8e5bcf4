"""What waits and what was done, in numbers."""

from __future__ import annotations

from dataclasses import replace

import httpx
import pytest

pytestmark = pytest.mark.asyncio

STATUS = "/api/v1/asr/queue/status"


async def test_the_queue_is_counted_by_lane(submit, client, platform, claim):
    await submit(lane="interactive")
    await submit(lane="batch")
    await submit(lane="batch")
    await claim(await platform.consumer())
    body = (await client.get(STATUS)).json()
    assert (body["signal"], body["waiting"], body["in_flight"]) == ("ok", 2, 1)
    assert body["audio_seconds"] == 3.0
    assert body["lanes"]["batch"]["waiting"] == 2
    assert body["lanes"]["interactive"]["in_flight"] == 1


async def test_live_workers_are_listed(client, platform, worker_record):
    consumer = await platform.consumer("worker-7-abc")
    await consumer.beat(worker_record("worker-7-abc", worker="worker-7", busy=3))
    (worker,) = (await client.get(STATUS)).json()["workers"]
    assert (worker["name"], worker["busy"], worker["cordoned"]) == ("worker-7", 3, False)


async def test_an_unknown_pool_is_422(client):
    reply = await client.get(STATUS, params={"pool": "nowhere"})
    assert (reply.status_code, reply.json()["error"]["param"]) == (422, "pool")


async def test_a_redis_that_is_away_is_503_and_never_zero(start_platform, own_redis):
    platform = start_platform(redis_port=own_redis.port)
    own_redis.kill()
    async with httpx.AsyncClient(base_url=platform.url) as client:
        for url in (STATUS, "/api/v1/stats", "/api/v1/asr/history", "/api/v1/asr/result/x"):
            reply = await client.get(url)
            assert reply.status_code == 503, url
            assert reply.json()["error"]["code"] == "queue_unavailable"
            assert reply.headers["retry-after"]


async def test_stats_count_what_came_and_what_was_done(submit, client, platform, claim, transcript):
    await submit()
    await submit()
    consumer = await platform.consumer()
    await platform.complete(consumer, await claim(consumer), transcript)
    body = (await client.get("/api/v1/stats", params={"minutes": 5})).json()
    assert body["minutes"] == 5
    assert (body["totals"]["submitted"], body["totals"]["completed"]) == (2, 1)
    pool = body["pools"]["default"]
    assert (pool["arrivals"], pool["completed"]) == (2, 1)
    assert pool["real_time_factor"] == pytest.approx(0.5)
    assert sum(point["arrivals"] for point in pool["points"]) == 2
    assert pool["open"] == 1


async def test_a_window_of_stats_out_of_range_is_422(client):
    reply = await client.get("/api/v1/stats", params={"minutes": 5000})
    assert (reply.status_code, reply.json()["error"]["param"]) == (422, "minutes")


async def test_a_worker_tells_what_it_takes_and_an_older_one_leaves_it_open(
    client, platform, worker_record
):
    now = replace(worker_record("new-1"), cpu_percent=137.5, memory_bytes=10**9, gpu_percent=0.0)
    for record in (now, worker_record("old-1")):
        await (await platform.consumer(record.consumer)).beat(record)
    new, old = (await client.get(STATUS)).json()["workers"]
    assert (new["cpu_percent"], new["memory_bytes"], new["gpu_percent"]) == (137.5, 10**9, 0.0)
    assert new["gpu_memory_bytes"] is None
    assert (old["cpu_percent"], old["memory_bytes"]) == (None, None)


async def test_stats_tell_latencies_and_may_be_asked_for_one_pool(
    submit, client, platform, claim, transcript
):
    await submit()
    consumer = await platform.consumer()
    await platform.complete(consumer, await claim(consumer), transcript)
    body = (await client.get("/api/v1/stats", params={"minutes": 5, "pool": "default"})).json()
    assert body["step_seconds"] == 10
    (pool,) = body["pools"].values()
    assert 0 <= pool["wait"]["p50"] <= pool["total"]["p99"] < 60
    reply = await client.get("/api/v1/stats", params={"pool": "nowhere"})
    assert (reply.status_code, reply.json()["error"]["param"]) == (422, "pool")
