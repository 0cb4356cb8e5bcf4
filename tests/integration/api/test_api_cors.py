"""Pages of other origins: none by default, those that a setting names, on errors as on replies."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
import pytest_asyncio

from asr_api.settings.api import ApiSettings

pytestmark = pytest.mark.asyncio

APP = "https://app.example.com"
PREFLIGHT = {
    "Origin": APP,
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "authorization,content-type,x-stainless-lang",
}


@pytest.fixture
def start(start_platform: Any) -> Any:
    def start(**settings: Any) -> httpx.AsyncClient:
        settings = {"cors_origins": (APP, "http://localhost:5173"), **settings}
        return httpx.AsyncClient(base_url=start_platform(**settings).url, timeout=30)

    return start


@pytest_asyncio.fixture
async def client(start: Any) -> Any:
    async with start() as client:
        yield client


async def test_a_preflight_is_answered_before_keys_and_limits_are_asked_for(start):
    async with start(auth="keys", tenant_rate_per_minute=1) as client:
        for path in ("/api/v1/asr/submit", "/v1/audio/transcriptions", "/api/v1/asr/task/x"):
            for _ in range(3):
                reply = await client.options(path, headers=PREFLIGHT)
                assert (reply.status_code, reply.content) == (204, b"")
                allowed = reply.headers
                assert allowed["access-control-allow-origin"] == APP
                assert "DELETE" in allowed["access-control-allow-methods"]
                assert allowed["access-control-allow-headers"] == (
                    "authorization,content-type,x-stainless-lang"
                )
                assert "access-control-allow-credentials" not in allowed
                assert "Origin" in allowed["vary"]
                assert allowed["x-request-id"]


async def test_replies_errors_and_early_refusals_can_be_read_by_the_page(start, wav):
    async with start(auth="keys", max_upload_bytes=1000) as client:
        origin = {"Origin": APP}
        replies = [
            await client.get("/api/v1/health", headers=origin),
            await client.get("/api/v1/nothing", headers=origin),
            await client.post("/api/v1/asr/submit", headers=origin, files={"audio": wav}),
        ]
        assert [reply.status_code for reply in replies] == [200, 404, 401]
        for reply in replies:
            assert reply.headers["access-control-allow-origin"] == APP
            exposed = reply.headers["access-control-expose-headers"].split(", ")
            assert {"x-request-id", "Retry-After", "x-asr-options-ignored"} <= set(exposed)
            assert reply.headers["vary"] == "Origin"
    async with start(max_upload_bytes=1000) as client:
        large = await client.post("/api/v1/asr/submit", headers=origin, files={"audio": wav})
        assert large.status_code == 413
        assert large.headers["access-control-allow-origin"] == APP


async def test_an_error_that_nobody_foresaw_and_a_rate_can_be_read_too(start_platform):
    platform = start_platform(cors_origins=("*",), tenant_rate_per_minute=1)

    async def explode(**_: object) -> None:
        raise RuntimeError

    platform.app.state.services.producer.history_ids = explode
    async with httpx.AsyncClient(base_url=platform.url, timeout=30) as client:
        for status in (500, 429):
            reply = await client.get("/api/v1/asr/history", headers={"Origin": APP})
            assert reply.status_code == status
            assert reply.headers["access-control-allow-origin"] == "*"
        assert reply.headers["x-ratelimit-limit-requests"] == "1"


async def test_what_the_connection_itself_refuses_can_be_read(client):
    host, port = str(client.base_url).removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(f"GET / HTTP/1.1\r\nOrigin: {APP}\r\n".encode() + b"a: b\r\n" * 300)
    async with asyncio.timeout(10):
        head = (await reader.read()).decode()
    assert head.startswith("HTTP/1.1 431 ")
    assert f"access-control-allow-origin: {APP}\r\n" in head


async def test_another_origin_is_told_nothing_and_a_client_without_one_is_served(client):
    other = {**PREFLIGHT, "Origin": "https://evil.example.com"}
    refused = await client.options("/api/v1/asr/submit", headers=other)
    assert refused.status_code == 403
    assert refused.json()["error"]["code"] == "origin_not_allowed"
    simple = await client.get("/api/v1/health", headers={"Origin": "https://evil.example.com"})
    for reply in (refused, simple, await client.get("/api/v1/health")):
        assert not [name for name in reply.headers if name.startswith("access-control")]
        assert reply.headers["vary"] == "Origin"


async def test_without_the_setting_nothing_is_said(start):
    async with start(cors_origins=()) as client:
        preflight = await client.options("/api/v1/asr/submit", headers=PREFLIGHT)
        assert (preflight.status_code, preflight.headers["allow"]) == (405, "POST")
        reply = await client.get("/api/v1/health", headers={"Origin": APP})
        for headers in (preflight.headers, reply.headers):
            assert "vary" not in headers
            assert not [name for name in headers if name.startswith("access-control")]


@pytest.mark.parametrize("origin", ["app.example.com", "https://app.example.com/path", "https://"])
async def test_what_is_no_origin_is_refused_in_words(origin, monkeypatch):
    monkeypatch.setenv("ASR_CORS_ORIGINS", f"http://localhost:3000, {origin}")
    with pytest.raises(ValueError, match="write scheme, host and port"):
        ApiSettings(_env_file=None)


async def test_a_last_slash_is_no_mistake(monkeypatch):
    monkeypatch.setenv("ASR_CORS_ORIGINS", "https://App.example.com/, http://[::1]:8080")
    settings = ApiSettings(_env_file=None)
    assert settings.cors_origins == ("https://app.example.com", "http://[::1]:8080")
