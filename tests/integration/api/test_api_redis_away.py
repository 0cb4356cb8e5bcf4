"""Redis is gone, or silent: every endpoint says 503 and when to try again, and none hangs."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import uuid_utils

from chaos.proxy import FaultProxy

pytestmark = pytest.mark.asyncio

THIS_POD_ONLY = {"/healthz", "/readyz", "/metrics", "/", "/dashboard"}


def operations(app: Any) -> Iterator[tuple[str, str]]:
    """Every (method, path) of the API, with ids that no task has."""
    for path, item in app.openapi()["paths"].items():
        for method in item:
            yield method, path.replace("{task_id}", str(uuid_utils.uuid7()))


async def replies(platform: Any, wav: bytes) -> dict[tuple[str, str], httpx.Response]:
    """What every endpoint says, all asked at once."""
    async with httpx.AsyncClient(base_url=platform.url, timeout=20) as client:
        asked = list(operations(platform.app))
        bodies = [_body(path, wav) for _, path in asked]
        answers = await asyncio.gather(
            *(
                client.request(method, path, **body)
                for (method, path), body in zip(asked, bodies, strict=True)
            )
        )
    return dict(zip(asked, answers, strict=True))


def _body(path: str, wav: bytes) -> dict[str, Any]:
    if path.endswith("/submit"):
        return {"files": {"audio": wav}}
    if path.startswith("/v1/audio/"):  # of a model that nobody serves: no worker is waited for
        return {"files": {"file": wav}, "data": {"model": "none"}}
    return {}


def assert_refused_kindly(answers: dict[tuple[str, str], httpx.Response]) -> None:
    assert len(answers) >= 12
    for (method, path), reply in answers.items():
        if path in THIS_POD_ONLY:
            assert reply.status_code == 200, (method, path, reply.text)
            continue
        assert reply.status_code == 503, (method, path, reply.text)
        assert int(reply.headers["retry-after"]) > 0, (method, path)
        if path != "/api/v1/health":
            assert reply.json()["error"]["code"] == "queue_unavailable", (method, path)


async def test_every_endpoint_answers_503_with_retry_after_while_redis_is_gone(
    start_platform: Any, own_redis: Any, wav: bytes
) -> None:
    platform = start_platform(redis_port=own_redis.port)
    own_redis.kill()
    assert_refused_kindly(await replies(platform, wav))
    assert platform.stored() == platform.spooled() == []
    own_redis.start()
    answers = await replies(platform, wav)
    assert {reply.status_code for reply in answers.values()} == {200, 202, 404}


async def test_every_endpoint_answers_503_within_its_time_while_redis_is_silent(
    start_platform: Any, redis_server: Any, wav: bytes
) -> None:
    async with FaultProxy(redis_server.port) as proxy:
        platform = start_platform(redis_port=proxy.port, timeout_seconds=0.5)
        async with httpx.AsyncClient(base_url=platform.url, timeout=20) as client:
            accepted = await client.post("/api/v1/asr/submit", files={"audio": wav})
            assert accepted.status_code == 202
        proxy.swallowing = True
        async with asyncio.timeout(15):
            assert_refused_kindly(await replies(platform, wav))
        proxy.swallowing = False
        proxy.cut()
        answers = await replies(platform, wav)
        assert {reply.status_code for reply in answers.values()} == {200, 202, 404}
