"""Every route of the app, with no key, with too small a one, and with another tenant's."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
import pytest_asyncio
from fastapi.routing import iter_route_contexts

from asr_api.app import create_app
from asr_api.settings.api import ApiSettings
from asr_core.access import Scope
from asr_core.queue import ApiKeyStore

# `public`: everybody. The others need a key with the scope after the colon. `task` is about one
# task, `own` about what the key's tenant has, `platform` about what all tenants share.
ROUTES = {
    "POST /api/v1/asr/submit": "own:transcribe",
    "GET /api/v1/asr/result/{task_id}": "task:read",
    "GET /api/v1/asr/events/{task_id}": "task:read",
    "GET /api/v1/asr/audio/{task_id}": "task:read",
    "POST /api/v1/asr/retry/{task_id}": "task:write",
    "DELETE /api/v1/asr/task/{task_id}": "task:write",
    "GET /api/v1/asr/history": "own:read",
    "GET /api/v1/usage": "own:read",
    "GET /api/v1/asr/queue/status": "own:read",
    "GET /api/v1/stats": "own:read",
    "POST /v1/audio/transcriptions": "own:transcribe",
    "POST /v1/audio/translations": "own:transcribe",
    "GET /v1/models": "platform:read",
    "GET /v1/models/{model:path}": "platform:read",
    "GET /api/v1/health": "public",
    "GET /health": "public",
    "GET /healthz": "public",
    "GET /readyz": "public",
    "GET /metrics": "public",
    "GET /": "public",
    "GET /dashboard": "public",
    "GET /assets/{name}": "public",
    "GET /docs": "public",
    "GET /docs/oauth2-redirect": "public",
    "GET /openapi.json": "public",
}
ROUTES |= {f"HEAD{name[3:]}": who for name, who in ROUTES.items() if name.startswith("GET ")}


def served() -> set[str]:
    """Also what is not declared: `HEAD` where `GET` is."""
    app = create_app(ApiSettings(_env_file=None))
    return {
        f"{method} {route.path}"
        for route in iter_route_contexts(app.routes)
        if route.path and getattr(route, "methods", None)
        for method in (*route.methods, *(("HEAD",) if "GET" in route.methods else ()))
    }


SERVED = served()
KEYED = sorted(name for name in SERVED if ROUTES.get(name, "") != "public")
PUBLIC = sorted(name for name in SERVED if ROUTES.get(name) == "public")
OF_A_TASK = sorted(name for name in SERVED if ROUTES.get(name, "").startswith("task"))


def test_every_route_of_the_app_stands_in_the_table() -> None:
    assert SERVED - set(ROUTES) == set(), "decide who may use it, and write that into ROUTES"
    assert len(OF_A_TASK) >= 6


class Tenant:
    """A tenant with a key, and a client that sends it."""

    def __init__(self, url: str, secret: str) -> None:
        self.headers = {"Authorization": f"Bearer {secret}"}
        self.client = httpx.AsyncClient(base_url=url, headers=self.headers, timeout=30)

    async def submit(self, wav: bytes, **headers: str) -> httpx.Response:
        files = {"audio": ("secret-name.wav", wav)}
        return await self.client.post("/api/v1/asr/submit", files=files, headers=headers)

    async def call(self, route: str, task_id: str) -> httpx.Response:
        method, path = route.split()
        for name in ("{task_id}", "{name}", "{model:path}"):
            path = path.replace(name, task_id)
        return await self.client.request(method, path)


@pytest_asyncio.fixture
async def guarded(start_platform: Any) -> Any:
    """An app that asks for keys."""
    return start_platform(auth="keys")


@pytest_asyncio.fixture
async def tenant(guarded: Any) -> Any:
    """Makes tenants with a key of their own."""
    made: list[Tenant] = []

    async def make(name: str, *scopes: Scope) -> Tenant:
        ring = ApiKeyStore(guarded.connect())
        secret, _ = await ring.create("test", tenant=name, scopes=scopes or (Scope.ADMIN,))
        made.append(Tenant(guarded.url, secret))
        return made[-1]

    yield make
    for each in made:
        await each.client.aclose()


@pytest.mark.asyncio
async def test_no_route_but_the_public_ones_answers_without_a_key_that_is_known(
    guarded: Any,
) -> None:
    strangers = [{}, {"Authorization": "Basic abc"}, {"Authorization": f"Bearer asr_{'a' * 43}"}]
    async with httpx.AsyncClient(base_url=guarded.url) as client:
        for route in KEYED:
            method, path = route.split()
            for headers in strangers:
                reply = await client.request(method, path, headers=headers)
                assert reply.status_code == 401, (route, headers)
                assert reply.headers["www-authenticate"].startswith("Bearer"), route
                if method != "HEAD":
                    assert reply.json()["error"]["code"] == "invalid_api_key", route
        for route in PUBLIC:
            method, path = route.split()
            reply = await client.request(method, path)
            assert reply.status_code not in (401, 403), route


@pytest.mark.asyncio
async def test_a_key_opens_nothing_beyond_its_scopes(tenant: Any) -> None:
    plain = {Scope.TRANSCRIBE, Scope.READ, Scope.WRITE}
    for scope in plain:
        holder = await tenant("acme", *(plain - {scope}))
        for route in KEYED:
            reply = await holder.call(route, "0197d4a5-2f6e-7c3a-9b1d-4e8f2a6c0d11")
            wanted = ROUTES[route].split(":")[1]
            assert (reply.status_code == 403) == (wanted == scope), (route, scope, reply.text)


@pytest.mark.asyncio
async def test_a_tenant_reaching_for_anothers_task_finds_nothing_by_any_route(
    guarded: Any, tenant: Any, wav: bytes, claim: Any, transcript: Any
) -> None:
    owner, stranger = await tenant("owner"), await tenant("stranger")
    waiting = (await owner.submit(wav)).json()["task_id"]
    consumer = await guarded.consumer()
    held = await claim(consumer)
    await guarded.complete(consumer, held, transcript)
    completed = waiting
    waiting = (await owner.submit(wav)).json()["task_id"]
    for task_id in (completed, waiting):
        before = (await owner.call("GET /api/v1/asr/result/{task_id}", task_id)).json()
        for route in OF_A_TASK:
            reply = await stranger.call(route, task_id)
            assert reply.status_code == 404, (route, reply.text)
            assert "secret-name" not in reply.text
        after = (await owner.call("GET /api/v1/asr/result/{task_id}", task_id)).json()
        assert after == before


@pytest.mark.asyncio
async def test_what_a_tenant_lists_and_brings_is_its_own(
    guarded: Any, tenant: Any, wav: bytes
) -> None:
    owner, stranger = await tenant("owner"), await tenant("stranger")
    first = (await owner.submit(wav, **{"Idempotency-Key": "order-17"})).json()["task_id"]
    assert (await stranger.client.get("/api/v1/asr/history")).json()["tasks"] == []
    second = (await stranger.submit(wav, **{"Idempotency-Key": "order-17"})).json()["task_id"]
    assert second != first
    listed = (await stranger.client.get("/api/v1/asr/history")).json()["tasks"]
    assert [task["task_id"] for task in listed] == [second]
