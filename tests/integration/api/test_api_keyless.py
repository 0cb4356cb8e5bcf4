"""Without keys: which names the API answers to, and which pages may change something."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

pytestmark = pytest.mark.asyncio

HISTORY = "/api/v1/asr/history"
SUBMIT = "/api/v1/asr/submit"
EVIL = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}


def is_error(reply: httpx.Response, status: int, code: str) -> bool:
    told = reply.json()["error"]["code"]
    return bool(reply.headers["x-request-id"]) and (reply.status_code, told) == (status, code)


async def test_a_name_that_somebody_points_here_reads_and_changes_nothing(client, submit):
    accepted = (await submit()).json()
    host = {"Host": "evil.example"}
    for method, path in (
        ("GET", HISTORY), ("GET", accepted["links"]["result"]), ("GET", accepted["links"]["audio"]),
        ("GET", "/"), ("GET", "/docs"), ("GET", "/assets/base.css"), ("GET", "/openapi.json"),
        ("GET", "/docs/static/swagger-ui.css"), ("GET", "/nothing"), ("POST", SUBMIT),
        ("DELETE", f"/api/v1/asr/task/{accepted['task_id']}"), ("OPTIONS", HISTORY),
    ):  # fmt: skip
        reply = await client.request(method, path, headers=host)
        assert is_error(reply, 421, "host_not_allowed"), (method, path)
        assert "ASR_ALLOWED_HOSTS=evil.example" in reply.json()["error"]["message"]
    assert (await client.head(HISTORY, headers=host)).status_code == 421
    assert len((await client.get(HISTORY)).json()["tasks"]) == 1


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics"])
async def test_probes_and_scrapes_come_by_any_name(client, path):
    assert (await client.get(path, headers={"Host": "asr-api.speech.svc"})).status_code == 200


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "10.9.8.7:80", "[::1]:8000", "LOCALHOST:1", "localhost.", "asr.localhost",
     "Box.lan:8080", "a.example.org"],
)  # fmt: skip
async def test_addresses_loopback_names_and_listed_names_are_answered(start_platform, host):
    url = start_platform(allowed_hosts=("box.lan", "*.example.org")).url
    async with httpx.AsyncClient(base_url=url, headers={"Host": host}) as client:
        assert (await client.get(HISTORY)).status_code == 200


async def test_the_name_that_it_listens_on_is_its_own(start_platform):
    url = start_platform(api_host="Box.lan").url
    async with httpx.AsyncClient(base_url=url, headers={"Host": "box.lan:8000"}) as client:
        assert (await client.get(HISTORY)).status_code == 200


async def test_with_keys_any_name_and_any_page_is_answered(start_platform, wav):
    url = start_platform(auth="keys").url
    async with httpx.AsyncClient(base_url=url, headers={"Host": "evil.example", **EVIL}) as client:
        assert (await client.get("/")).status_code == 200
        assert is_error(await client.post(SUBMIT, files={"audio": wav}), 401, "invalid_api_key")


@pytest.mark.parametrize(
    "headers",
    [
        EVIL,
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site", "Origin": "http://127.0.0.1:3000"},
    ],
)
async def test_a_page_of_another_origin_changes_nothing(client, submit, platform, headers):
    accepted = (await submit()).json()
    stored = platform.stored()
    task = f"/api/v1/asr/task/{accepted['task_id']}"
    plain = {"Content-Type": "text/plain"}
    for reply in (
        await submit(headers=headers),
        await client.post(SUBMIT, content=b'{"url": "http://a.example"}', headers=headers | plain),
        await client.post("/v1/audio/transcriptions", files={"file": b"x"}, headers=headers),
        await client.post("/v1/audio/translations", files={"file": b"x"}, headers=headers),
        await client.post(f"/api/v1/asr/retry/{accepted['task_id']}", headers=headers),
        await client.delete(task, headers=headers),
        await client.put(task, headers=headers),
        await client.patch(task, headers=headers),
    ):
        assert is_error(reply, 403, "cross_site_request")
        assert "ASR_CORS_ORIGINS" in reply.json()["error"]["message"]
    assert platform.stored() == stored
    assert len((await client.get(HISTORY, headers=headers)).json()["tasks"]) == 1


async def test_its_own_pages_and_programs_change_what_they_like(submit, platform):
    own = {"Origin": platform.url}
    for headers in ({}, own, {"Sec-Fetch-Site": "same-origin", **own}, {"Sec-Fetch-Site": "none"}):
        assert (await submit(headers=headers)).status_code == 202


async def test_a_page_that_cors_allows_does_too(start_platform, wav):
    url = start_platform(cors_origins=("https://app.example",)).url
    async with httpx.AsyncClient(base_url=url, timeout=30) as client:
        for origin, status in (("https://app.example", 202), ("https://evil.example", 403)):
            headers = {"Origin": origin, "Sec-Fetch-Site": "cross-site"}
            reply = await client.post(SUBMIT, files={"audio": wav}, headers=headers)
            assert reply.status_code == status
            assert reply.headers["vary"] == "Origin"


async def test_a_proxy_that_is_trusted_says_by_which_name_it_was_called(start_platform, wav):
    url = start_platform(allowed_hosts=("asr.example",)).url
    async with httpx.AsyncClient(base_url=url, timeout=30) as client:
        for told, status in (("asr.example", 200), ("evil.example", 421), ("a, evil", 421)):
            reply = await client.get(HISTORY, headers={"X-Forwarded-Host": told})
            assert reply.status_code == status
        # A page that has been given this address may send the header as well.
        both = {"Host": "evil.example", "X-Forwarded-Host": "asr.example"}
        assert (await client.get(HISTORY, headers=both)).status_code == 421
        own = {"X-Forwarded-Host": "asr.example", "Origin": "https://asr.example"}
        sent = await client.post(SUBMIT, files={"audio": wav}, headers=own)
        assert sent.status_code == 202


async def test_a_proxy_that_is_not_trusted_does_not(start_platform):
    url = start_platform(trusted_proxies=("10.0.0.0/8",)).url
    async with httpx.AsyncClient(base_url=url, timeout=30) as client:
        headers = {"X-Forwarded-Host": "evil.example"}
        assert (await client.get(HISTORY, headers=headers)).status_code == 200


async def test_behind_a_path_the_probes_are_open_and_nothing_else(start_platform):
    url = start_platform(root_path="/asr").url
    async with httpx.AsyncClient(base_url=url, headers={"Host": "evil.example"}) as client:
        assert (await client.get("/asr/healthz")).status_code == 200
        assert (await client.get("/healthz")).status_code == 200
        assert (await client.get(f"/asr{HISTORY}")).status_code == 421
        assert (await client.get(HISTORY)).status_code == 421


Ask = Callable[[bytes], Awaitable[tuple[int, Any]]]


@pytest.fixture
def ask(platform: Any) -> Ask:
    """Sends a request as it is written; returns status and body of its reply."""

    async def send(head: bytes) -> tuple[int, Any]:
        host, port = platform.url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(head.replace(b"\n", b"\r\n") + b"Connection: close\r\n\r\n")
        async with asyncio.timeout(20):
            raw = await reader.read()
        writer.close()
        return int(raw.split()[1]), json.loads(raw.partition(b"\r\n\r\n")[2])

    return send


@pytest.mark.parametrize(
    ("hosts", "status"),
    [
        (b"", 400),
        (b"Host:\n", 400),
        (b"Host: localhost\nHost: localhost\n", 400),
        (b"Host: localhost\nHost: evil.example\n", 400),
        (b"Host: user@localhost\n", 400),
        (b"Host: localhost evil.example\n", 400),
        (b"Host: ::1\n", 400),
        (b"Host: localhost:port\n", 400),
        (b"Host: localhost\n", 200),
    ],
)
async def test_a_request_names_one_host(ask, hosts, status):
    told, body = await ask(b"GET /api/v1/asr/history HTTP/1.1\n" + hosts)
    assert told == status
    assert status == 200 or body["error"]["code"] == "bad_request"


async def test_a_target_with_a_host_stands_in_place_of_the_header(ask):
    evil = b"GET http://evil.example/api/v1/asr/history HTTP/1.1\nHost: localhost\n"
    assert (await ask(evil))[0] == 421
    own = b"GET http://localhost/api/v1/asr/history HTTP/1.1\nHost: evil.example\n"
    assert (await ask(own))[0] == 200
