"""Health of the platform, of the pod, and the numbers for Prometheus."""

from __future__ import annotations

import os
import shutil
import signal

import httpx
import pytest

pytestmark = pytest.mark.asyncio

HEALTH = "/api/v1/health"


async def test_all_is_well_when_a_worker_is_alive(client, platform, worker_record):
    await (await platform.consumer()).beat(worker_record("worker-1"))
    reply = await client.get(HEALTH)
    body = reply.json()
    assert (reply.status_code, body["status"]) == (200, "ok")
    assert (body["redis"]["status"], body["store"]["status"]) == ("ok", "ok")
    assert body["workers"] == {"status": "ok", "alive": 1, "blocked": 0, "problems": []}


async def test_without_workers_the_platform_is_degraded_and_still_serves(client):
    reply = await client.get(HEALTH)
    assert (reply.status_code, reply.json()["status"]) == (200, "degraded")
    none = {"status": "none", "alive": 0, "blocked": 0, "problems": []}
    assert reply.json()["workers"] == none


async def test_a_store_that_is_away_is_named(client, platform):
    shutil.rmtree(platform.store_folder, ignore_errors=True)
    platform.store_folder.write_text("in the way")
    reply = await client.get(HEALTH)
    assert reply.status_code == 503
    assert reply.json()["status"] == "unavailable"
    assert reply.json()["store"]["status"] == "unavailable"
    assert reply.json()["redis"]["status"] == "ok"


async def test_a_redis_that_is_away_is_named_and_the_pod_stays_ready(start_platform, own_redis):
    platform = start_platform(redis_port=own_redis.port)
    own_redis.kill()
    async with httpx.AsyncClient(base_url=platform.url) as client:
        reply = await client.get(HEALTH)
        assert reply.status_code == 503
        assert reply.json()["redis"]["status"] == "unavailable"
        workers = reply.json()["workers"]
        assert (workers["status"], workers["alive"]) == ("unknown", None)
        assert (await client.get("/readyz")).status_code == 200
        assert (await client.get("/healthz")).text == "ok"


async def test_a_redis_that_hangs_does_not_hang_the_answer(start_platform, own_redis):
    platform = start_platform(
        redis_port=own_redis.port, timeout_seconds=3.0, health_timeout_seconds=0.2
    )
    os.kill(own_redis.process.pid, signal.SIGSTOP)
    try:
        async with httpx.AsyncClient(base_url=platform.url, timeout=2) as client:
            reply = await client.get(HEALTH)
            metrics = await client.get("/metrics")
    finally:
        os.kill(own_redis.process.pid, signal.SIGCONT)
    assert reply.status_code == 503
    assert "no answer within 0.2 s" in reply.json()["redis"]["message"]
    assert 'asr_queue_up{pool="default"} 0.0' in metrics.text


async def test_a_pod_that_cannot_take_uploads_is_not_ready(client, platform):
    shutil.rmtree(platform.spool_folder)
    reply = await client.get("/readyz")
    assert (reply.status_code, reply.json()["ready"]) == (503, False)


async def test_an_app_that_starts_before_redis_serves_once_redis_is_there(
    start_platform, own_redis, wav
):
    own_redis.kill()
    platform = start_platform(redis_port=own_redis.port)
    async with httpx.AsyncClient(base_url=platform.url) as client:
        assert (await client.get("/readyz")).status_code == 200
        refused = await client.post("/api/v1/asr/submit", files={"audio": wav})
        assert refused.status_code == 503
        own_redis.start()
        accepted = await client.post("/api/v1/asr/submit", files={"audio": wav})
    assert accepted.status_code == 202


async def test_metrics_count_requests_by_template_and_show_the_queue(submit, client):
    link = (await submit()).json()["links"]["result"]
    await client.get(link)
    await client.get("/no/such/page")
    text = (await client.get("/metrics")).text
    route = "/api/v1/asr/result/{task_id}"
    wanted = f'asr_http_requests_total{{method="GET",route="{route}",status="200"}} 1.0'
    assert wanted in text
    assert 'asr_http_requests_total{method="GET",route="unmatched",status="404"} 1.0' in text
    assert 'asr_tasks_submitted_total{lane="normal"} 1.0' in text
    assert 'asr_queue_waiting{lane="normal",pool="default"} 1.0' in text
    assert "process_resident_memory_bytes" in text
    assert link.rsplit("/", 1)[1] not in text
