"""What every reply says to browsers, whatever answers: a route, an error, a file, a connection."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from asr_api.http.reply_headers import SAFE

pytestmark = pytest.mark.asyncio

PAGES = ("/", "/dashboard", "/docs")


def assert_safe(headers: httpx.Headers, what: str) -> None:
    for name, value in SAFE.items():
        assert headers[name] == value or name == "Content-Security-Policy", what
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy, what
    assert "unsafe" not in policy, what


async def test_every_reply_is_safe_to_open(client, submit, platform, claim, transcript):
    consumer = await platform.consumer()
    links = (await submit()).json()["links"]
    await platform.complete(consumer, await claim(consumer), transcript)
    for method, path in (
        *(("GET", path) for path in PAGES),
        *(("GET", link) for link in links.values()),
        *(("GET", f"{links['result']}?format={form}") for form in ("text", "srt", "vtt")),
        ("GET", "/api/v1/asr/history"), ("GET", "/api/v1/stats"), ("GET", "/metrics"),
        ("GET", "/openapi.json"), ("GET", "/healthz"), ("GET", "/assets/base.css"),
        ("GET", "/assets/icon.svg"), ("GET", "/docs/static/swagger-ui-bundle.js"),
        ("GET", "/nothing"), ("GET", "/redoc"), ("GET", "/docs/oauth2-redirect"),
        ("GET", "/docs/static/nothing"), ("GET", "/dashboard/"), ("PUT", "/"), ("HEAD", "/docs"),
        ("POST", "/api/v1/asr/submit"), ("POST", "/v1/audio/transcriptions"),
        ("POST", "/v1/audio/translations"),
    ):  # fmt: skip
        reply = await client.request(method, path)
        assert_safe(reply.headers, f"{method} {path}")
        assert reply.headers["cross-origin-resource-policy"] == "same-origin"
    refused = await client.get("/", headers={"Host": "evil.example"})
    assert_safe(refused.headers, "another host")


async def test_an_error_of_the_server_and_of_the_connection_are_too(client, platform):
    async def explode(**_: object) -> None:
        raise RuntimeError

    platform.app.state.services.producer.history = explode
    assert_safe((await client.get("/api/v1/asr/history")).headers, "500")
    host, port = platform.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"no http\r\n\r\n")
    lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")[1:-2]
    assert_safe(httpx.Headers([tuple(line.split(": ", 1)) for line in lines]), "400")
    writer.close()


async def test_scripts_of_pages_are_named_or_files(client):
    for path in PAGES:
        policy = (await client.get(path)).headers["content-security-policy"]
        (scripts,) = (part for part in policy.split("; ") if part.startswith("script-src"))
        named = scripts.split()[1:]
        assert named[0] == "'self'"
        assert [each for each in named[1:] if not each.startswith("'sha256-")] == []
        assert len(named) == (2 if path == "/docs" else 1)


async def test_beside_cors_recordings_may_be_shown_by_other_pages(start_platform):
    platform = start_platform(cors_origins=("https://app.example",))
    async with httpx.AsyncClient(base_url=platform.url) as client:
        told = (await client.get("/api/v1/asr/history")).headers
        assert "cross-origin-resource-policy" not in told
        assert_safe(told, "CORS")
