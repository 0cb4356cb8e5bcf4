"""No room: a clear refusal with Retry-After, nothing left half written, and service once there is
room again.

A limit on the size of files stands in for the full disk: the system refuses the same writes.
"""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from chaos.proxy import FaultProxy

pytestmark = pytest.mark.asyncio

SUBMIT = "/api/v1/asr/submit"
KEY = {"Idempotency-Key": "order-18"}
ROOM_BYTES = 1_500_000


@pytest.fixture
def large_wav(make_wav: Any) -> bytes:
    """More than there is room for, and more than one write."""
    audio: bytes = make_wav(150.0)
    assert len(audio) > ROOM_BYTES
    return audio


async def test_a_full_disk_under_the_store_is_507_and_leaves_no_partial_blob(
    start_api: Any, behind: Any, redis_server: Any, large_wav: bytes, transcript: Any
) -> None:
    async with FaultProxy(redis_server.port) as proxy:
        api = start_api(redis_port=proxy.port)
        await asyncio.to_thread(api.wait_until_ready)
        async with httpx.AsyncClient(base_url=api.url, timeout=30) as client:
            # The key is looked up before the upload is read, and again when it lies in the spool.
            before = proxy.stop_request(b":idempotency:")
            reply = asyncio.create_task(
                client.post(SUBMIT, files={"audio": large_wav}, headers=KEY)
            )
            await asyncio.wait_for(before.caught.wait(), 20)
            spooled = proxy.stop_request(b":idempotency:")
            before.release()
            await asyncio.wait_for(spooled.caught.wait(), 20)
            assert [path.stat().st_size for path in api.spooled()] == [len(large_wav)]
            api.limit_file_size(ROOM_BYTES)
            spooled.release()
            refused = await reply
            assert refused.status_code == 507
            error = refused.json()["error"]
            assert (error["code"], error["type"]) == ("store_full", "dependency_error")
            assert int(refused.headers["retry-after"]) > 0
            assert (behind.stored(), api.spooled()) == ([], [])
            assert await behind.task_ids() == []

            api.limit_file_size(None)
            accepted = await client.post(SUBMIT, files={"audio": large_wav}, headers=KEY)
            assert accepted.status_code == 202
    task_id = accepted.json()["task_id"]
    assert behind.stored() == [f"audio/{task_id}"]
    assert await behind.work(transcript) == [task_id]


async def test_a_full_disk_under_the_uploads_is_503_and_small_ones_still_pass(
    start_api: Any, behind: Any, wav: bytes, large_wav: bytes
) -> None:
    api = start_api()
    await asyncio.to_thread(api.wait_until_ready)
    async with httpx.AsyncClient(base_url=api.url, timeout=30) as client:
        api.limit_file_size(ROOM_BYTES)
        refused = await client.post(SUBMIT, files={"audio": large_wav})
        assert refused.status_code == 503
        assert refused.json()["error"]["code"] == "spool_full"
        assert int(refused.headers["retry-after"]) > 0
        assert (behind.stored(), api.spooled()) == ([], [])
        assert (await client.post(SUBMIT, files={"audio": wav})).status_code == 202
        api.limit_file_size(None)
        assert (await client.post(SUBMIT, files={"audio": large_wav})).status_code == 202
    assert api.spooled() == []
