"""Keys over their life, and while Redis is away; limits and usage as clients see them."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import httpx
import openai
import pytest

from asr_core.access import Scope, TenantLimits, key_digest, new_secret
from asr_core.queue import ApiKeyStore, Tenants

pytestmark = pytest.mark.asyncio

HISTORY = "/api/v1/asr/history"


def bearer(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}


async def status(url: str, secret: str, path: str = HISTORY) -> int:
    async with httpx.AsyncClient(base_url=url, timeout=30) as client:
        return (await client.get(path, headers=bearer(secret))).status_code


async def until(wanted: int, url: str, secret: str) -> float:
    """Seconds until a key is answered so."""
    began = time.monotonic()
    while await status(url, secret) != wanted:
        assert time.monotonic() - began < 30
        await asyncio.sleep(0.2)
    return time.monotonic() - began


async def test_a_revoked_key_is_refused_within_ten_seconds_by_a_pod_that_has_seen_it(
    start_platform: Any,
) -> None:
    platform = start_platform(auth="keys")
    ring = ApiKeyStore(platform.connect())
    secret, key = await ring.create("laptop", tenant="acme", scopes=[Scope.READ])
    assert await status(platform.url, secret) == 200
    await ring.revoke(key.id)
    assert await until(401, platform.url, secret) < 12


async def test_a_key_ends_at_its_time_also_where_a_pod_remembers_it(start_platform: Any) -> None:
    platform = start_platform(auth="keys")
    ring = ApiKeyStore(platform.connect())
    secret, _ = await ring.create("x", tenant="acme", scopes=[Scope.READ], lasts_seconds=1.0)
    assert await status(platform.url, secret) == 200
    assert await until(401, platform.url, secret) < 5


async def test_a_rotated_key_goes_on_for_its_grace_and_the_new_one_has_its_tenant_and_scopes(
    start_platform: Any,
) -> None:
    platform = start_platform(auth="keys")
    ring = ApiKeyStore(platform.connect())
    old, key = await ring.create("ci", tenant="acme", scopes=[Scope.READ])
    new, renewed = await ring.rotate(key.id, grace_seconds=1.0)
    assert (renewed.name, renewed.tenant, renewed.scopes) == ("ci", "acme", {Scope.READ})
    assert await status(platform.url, old) == 200
    assert await until(401, platform.url, old) < 5
    assert await status(platform.url, new) == 200
    assert {each.id for each in await ring.list()} == {key.id, renewed.id}


async def test_redis_knows_only_the_digest_and_when_a_key_was_used(
    start_platform: Any, redis_server: Any
) -> None:
    platform = start_platform(auth="keys", key_prefix="")
    ring = ApiKeyStore(platform.connect())
    secret, _ = await ring.create("laptop", tenant="acme", scopes=[Scope.READ])
    assert (await ring.list())[0].last_used_at is None
    assert await status(platform.url, secret) == 200
    assert abs(((await ring.list())[0].last_used_at or 0) - time.time()) < 60
    with redis_server.client() as raw:
        assert raw.exists(f"asr:api_key:{key_digest(secret)}")
        for name in raw.keys("*"):
            assert secret not in name
            if raw.type(name) == "hash":
                assert secret not in str(raw.hgetall(name))


@pytest.mark.parametrize("form", ["plain", "hashed"])
async def test_a_bootstrap_key_is_admin_without_a_record_and_without_redis(
    start_platform: Any, own_redis: Any, form: str
) -> None:
    secret = new_secret()
    given = secret if form == "plain" else f"sha256:{key_digest(secret)}"
    platform = start_platform(redis_port=own_redis.port, auth="keys", bootstrap_key=given)
    assert await status(platform.url, secret, "/api/v1/usage") == 200
    assert await status(platform.url, new_secret(), "/api/v1/usage") == 401
    own_redis.kill()
    assert await status(platform.url, secret, "/api/v1/usage") == 503


async def test_while_redis_is_away_no_key_is_called_wrong_and_none_gets_through(
    start_platform: Any, own_redis: Any
) -> None:
    platform = start_platform(redis_port=own_redis.port, auth="keys", timeout_seconds=0.5)
    secret, _ = await ApiKeyStore(platform.connect()).create(
        "laptop", tenant="acme", scopes=[Scope.READ]
    )
    assert await status(platform.url, secret) == 200
    own_redis.kill()
    async with httpx.AsyncClient(base_url=platform.url, timeout=30) as client:
        for key in (secret, new_secret()):
            reply = await client.get(HISTORY, headers=bearer(key))
            assert reply.status_code == 503
            assert int(reply.headers["retry-after"]) >= 1
            assert reply.json()["error"]["code"] == "queue_unavailable"
        assert (await client.get(HISTORY)).status_code == 401
        assert (await client.get("/readyz")).status_code == 200


async def test_a_rate_is_told_in_headers_and_refused_with_the_time_to_wait(
    start_platform: Any,
) -> None:
    platform = start_platform(tenant_rate_per_minute=5)
    async with httpx.AsyncClient(base_url=platform.url) as client:
        replies = [await client.get(HISTORY) for _ in range(6)]
        assert [reply.status_code for reply in replies] == [200] * 5 + [429]
        left = [reply.headers["x-ratelimit-remaining-requests"] for reply in replies]
        assert left == ["4", "3", "2", "1", "0", "0"]
        refused = replies[-1]
        assert refused.headers["x-ratelimit-limit-requests"] == "5"
        assert refused.headers["x-ratelimit-reset-requests"].endswith("s")
        assert 1 <= int(refused.headers["retry-after"]) <= 13
        assert refused.json()["error"]["code"] == "rate_limit_exceeded"
        for path in ("/healthz", "/readyz", "/metrics", "/api/v1/health", "/docs"):
            assert (await client.get(path)).status_code == 200, path


async def test_a_rate_of_a_tenants_own_is_felt_without_a_restart(start_platform: Any) -> None:
    platform = start_platform()
    tenants = Tenants(platform.connect(), platform.settings)
    await tenants.set_limits("default", TenantLimits(rate_per_minute=1))
    async with httpx.AsyncClient(base_url=platform.url) as client:
        assert (await client.get(HISTORY)).status_code == 200
        assert (await client.get(HISTORY)).status_code == 429


async def test_a_full_quota_refuses_before_the_upload_and_tells_clients_to_stop(
    start_platform: Any, make_wav: Any
) -> None:
    platform = start_platform(tenant_stored_bytes=20_000)
    files = {"audio": ("a.wav", make_wav(1.0))}  # 16,044 bytes
    async with httpx.AsyncClient(base_url=platform.url) as client:
        taken = await client.post("/api/v1/asr/submit", files=files)
        assert taken.status_code == 202
        for wav in (make_wav(1.0), make_wav(0.1)):
            reply = await client.post("/api/v1/asr/submit", files={"audio": ("a.wav", wav)})
            if len(wav) > 4000:
                assert reply.status_code == 429
                assert reply.json()["error"]["code"] == "insufficient_quota"
                assert reply.headers["x-should-retry"] == "false"
                assert "retry-after" not in reply.headers
            else:
                assert reply.status_code == 202
        assert len([name for name in platform.stored() if name.startswith("audio/")]) == 2
        deleted = await client.delete(f"/api/v1/asr/task/{taken.json()['task_id']}")
        assert deleted.status_code == 200
        assert (await client.post("/api/v1/asr/submit", files=files)).status_code == 202


async def test_a_tenant_with_all_its_places_taken_is_told_when_to_come_again(
    start_platform: Any, wav: bytes
) -> None:
    platform = start_platform(tenant_open_tasks=1)
    files = {"audio": ("a.wav", wav)}
    async with httpx.AsyncClient(base_url=platform.url) as client:
        assert (await client.post("/api/v1/asr/submit", files=files)).status_code == 202
        reply = await client.post("/api/v1/asr/submit", files=files)
        assert (reply.status_code, reply.headers["retry-after"]) == (429, "10")
        assert reply.json()["error"]["code"] == "too_many_open_tasks"


async def test_usage_is_ones_own_and_all_of_it_for_an_admin(
    start_platform: Any, wav: bytes, claim: Any, transcript: Any
) -> None:
    platform = start_platform(auth="keys")
    ring = ApiKeyStore(platform.connect())
    secrets = {}
    for name, scopes in (
        ("acme", list(Scope)[:3]),
        ("other", list(Scope)[:3]),
        ("ops", [Scope.ADMIN]),
    ):
        secrets[name], _ = await ring.create("k", tenant=name, scopes=scopes)
    consumer = await platform.consumer()
    async with httpx.AsyncClient(base_url=platform.url) as client:
        for name in ("acme", "acme", "other"):
            await client.post(
                "/api/v1/asr/submit", files={"audio": ("a.wav", wav)}, headers=bearer(secrets[name])
            )
            await platform.complete(consumer, await claim(consumer), transcript)

        async def usage(name: str, **query: str) -> httpx.Response:
            return await client.get("/api/v1/usage", params=query, headers=bearer(secrets[name]))

        [own] = (await usage("acme")).json()["tenants"]
        assert (own["tenant"], own["tasks"], own["audio_seconds"]) == ("acme", 2, 2.0)
        assert len(own["days"]) == 1
        assert (await usage("acme", tenant="other")).status_code == 403
        assert [t["tenant"] for t in (await usage("ops")).json()["tenants"]] == ["acme", "other"]
        [other] = (await usage("ops", tenant="other")).json()["tenants"]
        assert other["audio_seconds"] == 1.0
        for first, last, names in (
            ("0001-01-01", "0001-01-02", []),
            ("9999-12-31", "9999-12-31", []),
            ("0001-01-01", "9999-12-31", ["acme", "other"]),
        ):
            told = (await usage("ops", **{"from": first, "to": last})).json()
            assert [tenant["tenant"] for tenant in told["tenants"]] == names
        for wrong in ("yesterday", "0", "2026-13-01"):
            reply = await usage("ops", **{"from": wrong})
            assert (reply.status_code, reply.json()["error"]["param"]) == (422, "from")


async def test_openais_client_raises_its_own_exceptions_for_a_wrong_key_and_a_small_one(
    start_platform: Any,
) -> None:
    platform = start_platform(auth="keys")
    small, _ = await ApiKeyStore(platform.connect()).create(
        "k", tenant="acme", scopes=[Scope.WRITE]
    )
    for key, error in (
        (new_secret(), openai.AuthenticationError),
        (small, openai.PermissionDeniedError),
    ):
        async with openai.AsyncOpenAI(api_key=key, base_url=f"{platform.url}/api") as client:
            with pytest.raises(error) as raised:
                await client.get("/v1/asr/history", cast_to=httpx.Response)
            assert raised.value.code in ("invalid_api_key", "insufficient_scope")


async def test_with_keys_off_a_key_that_a_client_sends_anyway_is_not_looked_at(
    platform: Any,
) -> None:
    assert await status(platform.url, "sk-whatever") == 200
