"""A Redis that is configured as a cache: nothing that it might throw away is accepted."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest
import pytest_asyncio

pytestmark = pytest.mark.asyncio

HEALTH = "/api/v1/health"
ENOUGH = ("--maxmemory", "100mb")


@pytest.fixture
def server(private_redis: Callable[..., Any], request: pytest.FixtureRequest) -> Any:
    return private_redis(*ENOUGH, "--maxmemory-policy", request.param)


@pytest_asyncio.fixture
async def client(server: Any, start_platform: Any) -> AsyncIterator[httpx.AsyncClient]:
    platform = start_platform(redis_port=server.port)
    async with httpx.AsyncClient(base_url=platform.url, timeout=30) as client:
        yield client


async def metric(client: httpx.AsyncClient, name: str) -> str:
    lines = (await client.get("/metrics")).text.splitlines()
    [value] = [line.split()[-1] for line in lines if line.startswith(f"{name} ")]
    return value


async def submit(client: httpx.AsyncClient, wav: bytes, key: str = "") -> httpx.Response:
    headers = {"Idempotency-Key": key} if key else {}
    return await client.post("/api/v1/asr/submit", files={"audio": wav}, headers=headers)


@pytest.mark.parametrize("server", ["allkeys-lru", "allkeys-random"], indirect=True)
async def test_where_any_key_may_vanish_nothing_is_accepted_until_none_may(
    server: Any, client: httpx.AsyncClient, wav: bytes
) -> None:
    refused = await submit(client, wav)
    assert refused.status_code == 503
    assert refused.json()["error"]["code"] == "redis_evicts"
    assert "set maxmemory-policy to noeviction" in refused.json()["error"]["message"]
    assert int(refused.headers["Retry-After"]) >= 1
    by_url = await client.post("/api/v1/asr/submit", json={"url": "https://example.com/a.wav"})
    openai = await client.post("/v1/audio/transcriptions", files={"file": ("a.wav", wav)})
    assert {reply.json()["error"]["code"] for reply in (by_url, openai)} == {"redis_evicts"}
    health = await client.get(HEALTH)
    assert (health.status_code, health.json()["status"]) == (503, "unavailable")
    assert health.json()["eviction"]["status"] == "refused"
    assert health.json()["eviction"]["policy"].startswith("allkeys-")
    assert "accepted tasks" in health.json()["redis"]["message"]
    assert (await client.get("/readyz")).status_code == 200
    assert (await client.get("/api/v1/asr/queue/status")).status_code == 200
    assert await metric(client, 'asr_redis_may_evict{keys="all"}') == "1.0"
    with server.client() as admin:
        admin.config_set("maxmemory-policy", "noeviction")
    assert (await submit(client, wav, "once")).status_code == 202
    assert (await client.get(HEALTH)).json()["eviction"]["status"] == "ok"
    assert await metric(client, 'asr_redis_may_evict{keys="all"}') == "0.0"
    with server.client() as admin:
        admin.config_set("maxmemory-policy", "allkeys-lfu")
    assert (await client.get(HEALTH)).status_code == 503
    assert (await submit(client, wav)).status_code == 503
    assert (await submit(client, wav, "once")).status_code == 202


@pytest.mark.parametrize("server", ["volatile-lru"], indirect=True)
async def test_where_keys_that_expire_may_vanish_work_is_taken_and_a_warning_given(
    server: Any, client: httpx.AsyncClient, wav: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (await submit(client, wav)).status_code == 202
    health = await client.get(HEALTH)
    assert (health.status_code, health.json()["status"]) == (200, "degraded")
    assert health.json()["eviction"]["status"] == "warning"
    assert "idempotency keys" in health.json()["eviction"]["message"]
    assert await metric(client, 'asr_redis_may_evict{keys="expiring"}') == "1.0"


@pytest.mark.parametrize("server", ["allkeys-lru"], indirect=True)
async def test_without_a_limit_nothing_vanishes_and_the_policy_is_only_told(
    server: Any, client: httpx.AsyncClient, wav: bytes
) -> None:
    with server.client() as admin:
        admin.config_set("maxmemory", "0")
    assert (await submit(client, wav)).status_code == 202
    health = (await client.get(HEALTH)).json()["eviction"]
    assert (health["status"], health["policy"]) == ("ok", "allkeys-lru")
    assert (
        health["message"] == "maxmemory-policy allkeys-lru would evict keys once maxmemory is set"
    )


@pytest.mark.parametrize("server", ["noeviction"], indirect=True)
async def test_what_has_been_evicted_is_counted(server: Any, client: httpx.AsyncClient) -> None:
    with server.client() as admin:
        admin.config_set("maxmemory-policy", "allkeys-lru")
        admin.config_set("maxmemory", admin.info("memory")["used_memory"] + 3_500_000)
        for number in range(8):
            admin.set(f"other:{number}", "x" * 1_000_000)
        admin.config_set("maxmemory", "100mb")
        admin.config_set("maxmemory-policy", "noeviction")
        evicted = admin.info("stats")["evicted_keys"]
    assert evicted
    health = (await client.get(HEALTH)).json()["eviction"]
    assert (health["status"], health["evicted_keys"]) == ("ok", evicted)
    assert health["message"] == f"Redis has evicted {evicted} keys since it started"
    assert await metric(client, "asr_redis_evicted_keys") == f"{evicted}.0"
