"""`HEAD` is `GET` without the body, wherever `GET` is served."""

from __future__ import annotations

import httpx
import pytest

pytestmark = pytest.mark.asyncio

PATHS = (
    "/", "/dashboard", "/assets/base.css", "/docs", "/openapi.json", "/healthz", "/readyz",
    "/health", "/api/v1/health", "/api/v1/stats", "/api/v1/usage", "/api/v1/asr/history",
    "/api/v1/asr/queue/status", "/v1/models", "/v1/models/default", "/api/v1/nothing",
    "/docs/static/swagger-ui.css",
)  # fmt: skip
CHANGING = {"x-request-id", "date", "content-length", "last-modified"}


def kept(reply: httpx.Response) -> dict[str, str]:
    return {name: value for name, value in reply.headers.items() if name not in CHANGING}


async def test_head_has_the_status_and_headers_of_get_and_no_body(client):
    for path in (*PATHS, "/metrics"):
        get, head = await client.get(path), await client.head(path)
        assert (path, head.status_code) == (path, get.status_code)
        assert kept(head) == kept(get)
        assert head.content == b""
        assert int(head.headers["content-length"]) > 0


async def test_head_on_a_task_and_its_recording(client, submit, wav):
    task_id = (await submit()).json()["task_id"]
    assert (await client.head(f"/api/v1/asr/result/{task_id}")).status_code == 200
    whole = await client.head(f"/api/v1/asr/audio/{task_id}")
    assert whole.headers["content-length"] == str(len(wav))
    part = await client.head(f"/api/v1/asr/audio/{task_id}", headers={"Range": "bytes=0-99"})
    assert (part.status_code, part.headers["content-length"]) == (206, "100")


async def test_head_on_a_stream_of_events_is_over_with_its_headers(client, submit):
    task_id = (await submit()).json()["task_id"]
    reply = await client.head(f"/api/v1/asr/events/{task_id}", timeout=10)
    assert reply.headers["content-type"].startswith("text/event-stream")
    assert (await client.head("/api/v1/health")).status_code in (200, 503)  # the connection lives


async def test_what_is_not_read_has_no_head_and_what_is_says_so(client):
    refused = await client.head("/api/v1/asr/submit")
    assert (refused.status_code, refused.headers["allow"]) == (405, "POST")
    assert (await client.post("/healthz")).headers["allow"] == "GET, HEAD"


async def test_head_is_counted_under_its_own_name(client):
    await client.head("/healthz")
    told = (await client.get("/metrics")).text
    assert 'method="HEAD",route="/healthz",status="200"' in told


async def test_head_asks_for_a_key_where_get_does(start_platform):
    url = start_platform(auth="keys").url
    async with httpx.AsyncClient(base_url=url, timeout=30) as client:
        assert (await client.head("/v1/models")).status_code == 401
        assert (await client.head("/health")).status_code in (200, 503)
