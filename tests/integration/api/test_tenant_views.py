"""Two tenants and an operator on one platform: each tenant is told its own volume alone."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from typing import Any

import httpx
import pytest
import pytest_asyncio
from fastapi.routing import iter_route_contexts

from asr_api.app import create_app
from asr_api.settings.api import ApiSettings
from asr_core.access import Scope
from asr_core.queue import ApiKeyStore, Claim, Consumer, Failure

pytestmark = pytest.mark.asyncio

STATUS, STATS, SUBMIT = "/api/v1/asr/queue/status", "/api/v1/stats", "/api/v1/asr/submit"
# For Prometheus, inside the cluster: test_chart_behaviour holds that no ingress leads there.
OPERATORS = {"/metrics"}
_OF_THE_MOMENT = {"trusted", "oldest_wait_seconds", "x-request-id", "date", "etag"}
_NUMBERS = ("waiting", "in_flight", "orphans", "held", "delayed", "dead", "audio_seconds")
_DONE = ("open", "arrivals", "completed", "failed", "retried", "crashed", "audio_seconds")
MakeClient = Callable[..., Awaitable[httpx.AsyncClient]]


@pytest_asyncio.fixture
async def guarded(start_platform: Any) -> Any:
    """An app that asks for keys; what is tried again stays delayed."""
    return start_platform(auth="keys", retry_backoff_seconds=600, lease_seconds=600)


@pytest_asyncio.fixture
async def holder(guarded: Any) -> AsyncIterator[MakeClient]:
    """Makes clients with a key of a tenant."""
    made: list[httpx.AsyncClient] = []

    async def make(tenant: str, *scopes: Scope) -> httpx.AsyncClient:
        ring = ApiKeyStore(guarded.connect())
        secret, _ = await ring.create(
            "test", tenant=tenant, scopes=scopes or (Scope.TRANSCRIBE, Scope.READ, Scope.WRITE)
        )
        headers = {"Authorization": f"Bearer {secret}"}
        made.append(httpx.AsyncClient(base_url=guarded.url, headers=headers, timeout=30))
        return made[-1]

    yield make
    for each in made:
        await each.aclose()


async def bring(client: httpx.AsyncClient, wav: bytes, count: int, **form: str) -> list[Any]:
    replies = [
        await client.post(SUBMIT, files={"audio": ("a.wav", wav)}, data=form) for _ in range(count)
    ]
    assert {reply.status_code for reply in replies} == {202}
    return [reply.json() for reply in replies]


async def work(platform: Any, consumer: Consumer, transcript: Any) -> None:
    """Claims four tasks of whomever: one completes, one fails, one is tried again, one runs on."""
    held: list[Claim] = []
    while len(held) < 4:
        held += await consumer.claim(room_seconds=3600, room_tasks=1, in_flight=0)
    done, broken, unlucky, _ = held
    await platform.complete(consumer, done, transcript)
    for claim, permanent in ((broken, True), (unlucky, False)):
        await consumer.fail([Failure(claim.task.task_id, claim.token, "x", "y", permanent)])


def lasting(value: Any) -> Any:
    """Of a reply's body or headers, what does not change from one moment to the next."""
    if isinstance(value, dict):
        return {name: lasting(one) for name, one in value.items() if name not in _OF_THE_MOMENT}
    return [lasting(one) for one in value] if isinstance(value, list) else value


async def told(client: httpx.AsyncClient) -> dict[str, Any]:
    """Everything that may be read without the name of a task."""
    app = create_app(ApiSettings(_env_file=None))  # type: ignore[call-arg]
    read = (
        route.path or ""
        for route in iter_route_contexts(app.routes)
        if "GET" in (getattr(route, "methods", None) or ())
    )
    paths = {path.replace("{model:path}", "default") for path in read if "{task_id}" not in path}
    paths -= OPERATORS
    assert {STATUS, STATS, "/api/v1/health", "/v1/models", "/api/v1/usage"} <= paths
    found = {}
    for path in sorted(paths):
        reply = await client.get(path)
        try:
            body = json.dumps(lasting(reply.json()), sort_keys=True)
        except ValueError:
            body = reply.text
        found[path] = (reply.status_code, lasting(dict(reply.headers)), body)
    return found


async def test_nothing_that_a_tenant_reads_moves_with_what_others_do(
    guarded: Any, holder: MakeClient, wav: bytes, transcript: Any, worker_record: Any
) -> None:
    acme, other = await holder("acme"), await holder("other")
    consumer = await guarded.consumer()
    await consumer.beat(worker_record("worker-1", worker="gpu-node-7"))
    before = await told(acme)
    await bring(other, wav, 4)
    await work(guarded, consumer, transcript)
    await bring(other, wav, 30, lane="batch")
    busy = worker_record("worker-1", worker="gpu-node-7", busy=4)
    await consumer.beat(replace(busy, tasks_done=9, throughput=3.0))
    await (await guarded.consumer("worker-2")).beat(worker_record("worker-2", worker="gpu-node-8"))
    after = await told(acme)
    assert after == before
    assert "gpu-node" not in str(after)
    (mine,) = await bring(acme, wav, 1, lane="batch")
    assert mine["position"] == 1
    reply = await acme.get(mine["links"]["result"])
    assert reply.json()["position"] == 1
    async with acme.stream("GET", mine["links"]["events"]) as events:
        async for line in events.aiter_lines():
            if line.startswith("data: "):
                assert json.loads(line.removeprefix("data: "))["position"] == 1
                break


async def test_tenants_are_told_their_own_numbers_and_an_admin_their_sum_or_one_of_them(
    guarded: Any, holder: MakeClient, wav: bytes, transcript: Any, worker_record: Any
) -> None:
    acme, other = await holder("acme"), await holder("other")
    admin = await holder("operators", Scope.ADMIN)
    consumer = await guarded.consumer()
    await consumer.beat(worker_record("worker-1"))
    await bring(acme, wav, 4)
    await work(guarded, consumer, transcript)
    await bring(other, wav, 20, lane="interactive")
    mine, theirs, all_ = [(await each.get(STATUS)).json() for each in (acme, other, admin)]
    assert [mine["tenant"], theirs["tenant"], all_["tenant"]] == ["acme", "other", None]
    numbers = {name: mine[name] for name in _NUMBERS if mine[name]}
    assert numbers == {"in_flight": 1, "delayed": 1, "audio_seconds": 2.0}
    assert (theirs["waiting"], theirs["held"], theirs["in_flight"]) == (20, 4, 0)
    for name in _NUMBERS:
        assert mine[name] + theirs[name] == all_[name], name
        for lane in all_["lanes"]:
            if name in all_["lanes"][lane]:
                own = mine["lanes"][lane][name] + theirs["lanes"][lane][name]
                assert own == all_["lanes"][lane][name], (lane, name)
    assert mine["workers"] is theirs["workers"] is None
    assert [worker["name"] for worker in all_["workers"]] == ["worker"]
    assert (mine["serving"], mine["models"]) == (all_["serving"], all_["models"])

    mine, theirs, all_ = [(await each.get(STATS)).json() for each in (acme, other, admin)]
    assert (all_["tenants"], mine["tenants"]) == (["acme", "other"], None)
    pools = [each["pools"]["default"] for each in (mine, theirs, all_)]
    assert [[pool[name] for name in _DONE] for pool in pools] == [
        [2, 4, 1, 1, 1, 0, 1.0], [20, 20, 0, 0, 0, 0, 0.0], [22, 24, 1, 1, 1, 0, 1.0],
    ]  # fmt: skip
    assert pools[0]["wait"] is not None
    assert pools[1]["wait"] is pools[1]["total"] is pools[1]["real_time_factor"] is None
    submitted = [each["totals"]["submitted"] for each in (mine, theirs, all_)]
    assert submitted == [4, 20, 24]
    for path, own in ((STATS, mine), (STATUS, (await acme.get(STATUS)).json())):
        one = (await admin.get(path, params={"tenant": "acme"})).json()
        shown = {k: v for k, v in lasting(one).items() if k != "workers"}
        assert shown == {k: v for k, v in lasting(own).items() if k != "workers"}, path


async def test_a_tenant_may_name_itself_and_no_other_and_a_name_is_one(
    guarded: Any, holder: MakeClient
) -> None:
    acme, admin = await holder("acme"), await holder("operators", Scope.ADMIN)
    for path in (STATUS, STATS, "/api/v1/usage"):
        assert (await acme.get(path, params={"tenant": "acme"})).status_code == 200
        refused = await acme.get(path, params={"tenant": "other"})
        assert (refused.status_code, refused.json()["error"]["code"]) == (403, "insufficient_scope")
        for name in ("*", "a|b", "a:b", "", "x" * 65, "a\n"):
            reply = await admin.get(path, params={"tenant": name})
            assert (reply.status_code, reply.json()["error"]["param"]) == (422, "tenant"), name
        assert (await admin.get(path, params={"tenant": "nobody"})).status_code == 200


async def test_a_pool_that_is_full_and_a_server_that_is_busy_name_no_numbers(
    start_platform: Any, wav: bytes
) -> None:
    platform = start_platform(queue_cap=3)
    async with httpx.AsyncClient(base_url=platform.url) as client:
        await bring(client, wav, 3)
        refused = await client.post(SUBMIT, files={"audio": ("a.wav", wav)})
    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "queue_full")
    assert "3" not in refused.json()["error"]["message"]


async def test_health_tells_everybody_how_it_is_and_an_admin_how_much(
    guarded: Any, holder: MakeClient, worker_record: Any
) -> None:
    record = worker_record("worker-1", worker="gpu-node-7")
    await (await guarded.consumer()).beat(replace(record, problem="the disk is full: 3 MB free"))
    acme, admin = await holder("acme"), await holder("operators", Scope.ADMIN)
    unknown = {"Authorization": f"Bearer asr_{'a' * 43}"}
    async with httpx.AsyncClient(base_url=guarded.url) as anybody:
        for path in ("/api/v1/health", "/health"):
            whole = (await admin.get(path)).json()
            assert whole["workers"]["problems"] == ["gpu-node-7: the disk is full: 3 MB free"]
            assert whole["redis"]["seconds"] is not None
            for reply in (
                await acme.get(path),
                await anybody.get(path),
                await anybody.get(path, headers=unknown),
            ):
                body = reply.json()
                parts = {name: part for name, part in body.items() if name != "status"}
                stand = {name: part["status"] for name, part in parts.items()}
                assert stand == {name: whole[name]["status"] for name in parts}
                rest = [v for part in parts.values() for k, v in part.items() if k != "status"]
                assert not any(rest), rest


async def test_a_redis_that_hangs_does_not_hang_health_for_whoever_sends_a_key(
    start_platform: Any, own_redis: Any
) -> None:
    platform = start_platform(redis_port=own_redis.port, auth="keys", health_timeout_seconds=0.2)
    secret, _ = await ApiKeyStore(platform.connect()).create(
        "test", tenant="operators", scopes=(Scope.ADMIN,)
    )
    os.kill(own_redis.process.pid, signal.SIGSTOP)
    try:
        async with httpx.AsyncClient(base_url=platform.url, timeout=5) as client:
            headers = {"Authorization": f"Bearer {secret}"}
            reply = await client.get("/api/v1/health", headers=headers)
    finally:
        os.kill(own_redis.process.pid, signal.SIGCONT)
    assert (reply.status_code, reply.json()["redis"]["status"]) == (503, "unavailable")


async def test_without_keys_all_is_told_as_ever(
    client: httpx.AsyncClient, platform: Any, submit: Any, worker_record: Any
) -> None:
    await (await platform.consumer()).beat(worker_record("worker-1"))
    first, second = (await submit()).json(), (await submit()).json()
    assert (first["position"], second["position"]) == (1, 2)
    status = (await client.get(STATUS)).json()
    assert (status["tenant"], status["waiting"], len(status["workers"])) == (None, 2, 1)
    assert (await client.get(STATS)).json()["tenants"] == ["default"]
    assert (await client.get("/api/v1/health")).json()["workers"]["alive"] == 1
