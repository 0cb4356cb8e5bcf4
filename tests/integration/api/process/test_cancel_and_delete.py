"""Cancelled or deleted while it waits, runs, or finishes at that very moment: no result afterwards,
and nothing left in the store.

A bucket behind a proxy holds back the worker's result; another proxy holds back its report.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest
import pytest_asyncio
from moto.server import ThreadedMotoServer

from asr_core.store import Store
from chaos.proxy import FaultProxy

pytestmark = pytest.mark.asyncio(loop_scope="module")

STORE = "s3://recordings"
SUBMIT = "/api/v1/asr/submit"
FINISH_SCRIPT = b'"processing_ms"'
RESULT_PUT = b"/results/"
DEMO = Path(__file__).parents[4] / "worker" / "asr_worker" / "embedded" / "demo.wav"


@dataclass
class Scene:
    """An API, and a worker that reaches Redis and the bucket through proxies."""

    client: httpx.AsyncClient
    worker: Any
    to_redis: FaultProxy
    to_bucket: FaultProxy
    behind: Any

    async def submit(self, copies: int = 1) -> str:
        """The model's own recording, end to end so many times."""
        audio = DEMO.read_bytes()
        audio = audio[:40] + (len(audio[44:]) * copies).to_bytes(4, "little") + audio[44:] * copies
        reply = await self.client.post(SUBMIT, files={"audio": audio})
        assert reply.status_code == 202
        return str(reply.json()["task_id"])

    async def delete(self, task_id: str) -> None:
        assert (await self.client.delete(f"/api/v1/asr/task/{task_id}")).status_code == 200

    async def result(self, task_id: str, *, wait: int = 0) -> httpx.Response:
        return await self.client.get(f"/api/v1/asr/result/{task_id}?wait={wait}")

    async def stored(self, task_id: str) -> list[str]:
        paths = [found.path async for found in self.behind.store.list("")]
        return sorted(path for path in paths if task_id in path)

    async def until(self, condition: Callable[[], Any], *, seconds: float = 10) -> None:
        async with asyncio.timeout(seconds):
            while not await condition():
                await asyncio.sleep(0.05)

    async def running(self, task_id: str) -> None:
        async def progressing() -> bool:
            body = (await self.result(task_id)).json()
            return body["status"] == "processing" and body["progress"] > 0

        await self.until(progressing, seconds=60)

    async def still_works(self) -> None:
        """The worker took no harm: the next task completes."""
        task_id = await self.submit()
        assert (await self.result(task_id, wait=60)).json()["status"] == "completed"


@pytest.fixture(scope="module")
def bucket_port() -> Iterator[int]:
    """An S3 server with a bucket, which every store of this module opens."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    port = int(server.get_host_and_port()[1])
    with pytest.MonkeyPatch.context() as environment:
        for name, value in {
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_REGION": "us-east-1",
            "AWS_ALLOW_HTTP": "true",
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        }.items():
            environment.setenv(name, value)
        boto3.client("s3", region_name="us-east-1").create_bucket(Bucket="recordings")
        yield port
    server.stop()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scene(
    bucket_port: int, _shared_redis: Any, make_programs: Any, look_behind: Any,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[Scene]:  # fmt: skip
    settings = {"ASR_STORE_URL": STORE, "ASR_LEASE_SECONDS": 2, "ASR_KEY_PREFIX": "cancel"}
    programs = make_programs(tmp_path_factory.mktemp("scene"), _shared_redis.port, settings)
    behind = look_behind(_shared_redis.port, programs.folder, key_prefix="cancel")
    behind.store = Store.open(STORE)
    async with FaultProxy(_shared_redis.port) as to_redis, FaultProxy(bucket_port) as to_bucket:
        worker = programs.worker(
            redis_port=to_redis.port,
            AWS_ENDPOINT_URL=f"http://127.0.0.1:{to_bucket.port}",
            ASR_BATCH_SIZE=15,
        )
        api = programs.api()
        await asyncio.to_thread(api.wait_until_ready)
        async with httpx.AsyncClient(base_url=api.url, timeout=90) as client:
            yield Scene(client, worker, to_redis, to_bucket, behind)
        await asyncio.to_thread(programs.end)
    await behind.connection.close()


async def test_a_task_deleted_while_it_runs_is_gone_at_once_and_stays_so(scene: Scene) -> None:
    task_id = await scene.submit(copies=8)
    await scene.running(task_id)
    await scene.delete(task_id)
    assert await scene.stored(task_id) == []
    await scene.still_works()
    assert await scene.stored(task_id) == []
    assert (await scene.result(task_id)).status_code == 404

    cancelled = await scene.submit(copies=8)
    await scene.running(cancelled)
    await scene.behind.producer.cancel(cancelled)
    await scene.still_works()
    body = (await scene.result(cancelled)).json()
    assert (body["status"], body["result"]) == ("cancelled", None)
    assert await scene.stored(cancelled) == [f"audio/{cancelled}"]  # for a retry
    await scene.delete(cancelled)
    assert await scene.stored(cancelled) == []


@pytest.mark.parametrize("held", ["result", "report"])
async def test_a_task_that_finishes_while_it_is_deleted_or_cancelled_has_no_result(
    scene: Scene, held: str
) -> None:
    for end, left in ((scene.delete, []), (scene.behind.producer.cancel, ["audio"])):
        if held == "result":
            snag = scene.to_bucket.stop_request(RESULT_PUT)
        else:
            snag = scene.to_redis.stop_request(FINISH_SCRIPT)
        task_id = await scene.submit()
        await asyncio.wait_for(snag.caught.wait(), 60)
        await end(task_id)
        ended_at = time.monotonic()
        snag.release()
        await scene.still_works()

        async def nothing_else_is_left(task_id: str = task_id, left: list[str] = left) -> bool:
            return await scene.stored(task_id) == [f"{kind}/{task_id}" for kind in left]

        await scene.until(nothing_else_is_left)
        assert time.monotonic() - ended_at < 10
        reply = await scene.result(task_id)
        assert reply.status_code == 404 or reply.json()["status"] == "cancelled"


async def test_what_a_worker_wrote_late_and_died_on_is_swept(scene: Scene) -> None:
    result = scene.to_bucket.stop_request(RESULT_PUT)
    report = scene.to_redis.stop_request(FINISH_SCRIPT)
    task_id = await scene.submit()
    await asyncio.wait_for(result.caught.wait(), 60)
    await scene.delete(task_id)
    result.release()
    await asyncio.wait_for(report.caught.wait(), 20)
    scene.worker.kill()
    report.cut()
    assert await scene.stored(task_id) == [f"results/{task_id}/1.json"]
    swept = await scene.behind.sweep()
    assert (swept.orphans, swept.deleted) == (1, 1)
    assert await scene.stored(task_id) == []
