"""Under a path of somebody else's server: links, redirects, documents and pages keep it."""

from __future__ import annotations

import re
from typing import Any

import httpx
import pytest
from pydantic import ValidationError

from asr_api.http.behind_proxy import forwarded_prefix, under
from asr_api.settings.api import ApiSettings

pytestmark = pytest.mark.asyncio

# How a proxy forwards `/asr/x`: it cuts the prefix off and says so, or a setting names it.
FORWARDS = {
    "Traefik's StripPrefix": ({}, "", {"X-Forwarded-Prefix": "/asr"}),
    "a prefix with a slash": ({}, "", {"X-Forwarded-Prefix": "/asr/"}),
    "nginx, cut off": ({"root_path": "/asr"}, "", {}),
    "an ingress, left on": ({"root_path": "/asr/"}, "/asr", {}),
    "left on, and said": ({}, "/asr", {"X-Forwarded-Prefix": "/asr"}),
}


@pytest.fixture(params=FORWARDS.values(), ids=FORWARDS.keys())
def proxied(request: Any, start_platform: Any) -> Any:
    """A client as a proxy in front of `http://asr.test/asr/` is one."""
    settings, before, headers = request.param
    url = start_platform(allowed_hosts=("asr.test",), **settings).url + before
    return httpx.AsyncClient(base_url=url, headers={"Host": "asr.test", **headers}, timeout=30)


async def test_links_of_every_reply_keep_the_prefix(proxied, wav):
    async with proxied as client:
        sent = await client.post("/api/v1/asr/submit", files={"audio": ("a.wav", wav)})
        assert sent.status_code == 202
        task_id = sent.json()["task_id"]
        links = {
            name: f"/asr/api/v1/asr/{name}/{task_id}" for name in ("result", "events", "audio")
        }
        assert sent.json()["links"] == links
        assert sent.headers["location"] == links["result"]
        result = (await client.get(f"/api/v1/asr/result/{task_id}")).json()
        (listed,) = (await client.get("/api/v1/asr/history")).json()["tasks"]
        assert result["links"] == listed["links"] == links


async def test_redirects_name_a_path_under_the_prefix_and_no_host(proxied):
    async with proxied as client:
        reply = await client.get("/dashboard/?minutes=5")
    assert (reply.status_code, reply.headers["location"]) == (307, "/asr/dashboard?minutes=5")


async def test_the_docs_and_their_document_are_found(proxied):
    async with proxied as client:
        page = (await client.get("/docs")).text
        assert "'/asr/openapi.json'" in page
        for path in set(re.findall(r'"(/asr/docs/static/[^"]+)"', page)):
            found = await client.get(path.removeprefix("/asr"))
            assert found.status_code == 200
        document = (await client.get("/openapi.json")).json()
        assert document["servers"] == [{"url": "/asr"}]


async def test_the_pages_find_their_files_whatever_the_address_ends_with(proxied):
    async with proxied as client:
        for path in ("/", "/dashboard"):
            page = await client.get(path)
            links = set(re.findall(r'(?:href|src)="([^"#]*)"', page.text))
            assert links
            for link in links:
                assert link.startswith("/asr/")
                assert (await client.get(link.removeprefix("/asr"))).status_code == 200
            again = await client.get(path, headers={"If-None-Match": page.headers["etag"]})
            assert again.status_code == 304


async def test_without_a_prefix_the_pages_are_as_they_were(client):
    page = await client.get("/")
    assert 'href="assets/base.css"' in page.text
    assert (await client.get("/dashboard/")).headers["location"] == "/dashboard"


async def test_a_proxy_that_is_not_trusted_is_not_believed(start_platform, wav):
    url = start_platform(trusted_proxies=("10.0.0.0/8",)).url
    headers = {"X-Forwarded-Prefix": "/evil", "X-Forwarded-Proto": "https"}
    async with httpx.AsyncClient(base_url=url, headers=headers, timeout=30) as client:
        sent = await client.post("/api/v1/asr/submit", files={"audio": ("a.wav", wav)})
    assert sent.headers["location"].startswith("/api/v1/")


@pytest.mark.parametrize(
    ("value", "prefix"),
    [
        ("/asr", "/asr"),
        ("/tools/asr/", "/tools/asr"),
        ("/tools, /asr", "/tools/asr"),
        ("", ""),
        ("/", ""),
        ("asr", ""),
        ("//evil.example.com", ""),
        ("/a/../b", ""),
        ('/"><script>', ""),
        ("/x" * 200, ""),
    ],
)
async def test_only_a_path_can_be_a_prefix(value, prefix):
    assert forwarded_prefix(value) == prefix


async def test_a_prefix_like_our_own_paths_is_told_from_them():
    scope = {"type": "http", "path": "/api/v1/health", "raw_path": b"/api/v1/health"}
    assert under("/api", scope)["path"] == "/api/api/v1/health"
    assert under("/asr", scope)["raw_path"] == b"/asr/api/v1/health"


@pytest.mark.parametrize("path", ["asr", "/a b", "//a", "/a/../b", "https://x/asr"])
async def test_a_setting_that_is_no_prefix_is_refused(path):
    with pytest.raises(ValidationError, match="write it as /asr"):
        ApiSettings(_env_file=None, root_path=path)


async def test_a_proxy_that_is_no_address_is_refused():
    with pytest.raises(ValidationError, match="address or a network"):
        ApiSettings(_env_file=None, trusted_proxies=("nginx",))
