"""Second chances, and leaving nothing behind."""

from __future__ import annotations

import pytest

from asr_core.errors import StoreUnavailable
from asr_core.queue import Failure, Outcome, Producer
from asr_core.task import result_path

pytestmark = pytest.mark.asyncio


@pytest.fixture
def fail_next(platform, claim):
    async def fail():
        consumer = await platform.consumer()
        held = await claim(consumer)
        await consumer.fail(
            [Failure(held.task.task_id, held.token, "unreadable_audio", "broken", True)]
        )

    return fail


def retry_url(task_id: str) -> str:
    return f"/api/v1/asr/retry/{task_id}"


def task_url(task_id: str) -> str:
    return f"/api/v1/asr/task/{task_id}"


async def test_a_failed_task_is_queued_again(submit, client, fail_next):
    task_id = (await submit()).json()["task_id"]
    await fail_next()
    reply = await client.post(retry_url(task_id))
    assert reply.status_code == 202
    body = reply.json()
    assert (body["task_id"], body["status"], body["position"]) == (task_id, "queued", 1)


async def test_a_task_that_waits_or_is_completed_cannot_be_retried(
    submit, client, platform, claim, transcript
):
    task_id = (await submit()).json()["task_id"]
    assert (await client.post(retry_url(task_id))).status_code == 409
    consumer = await platform.consumer()
    await platform.complete(consumer, await claim(consumer), transcript)
    reply = await client.post(retry_url(task_id))
    assert reply.status_code == 409
    assert reply.json()["error"]["code"] == "state_conflict"


async def test_a_task_without_audio_cannot_be_retried(submit, client, platform, fail_next):
    task_id = (await submit()).json()["task_id"]
    await fail_next()
    await platform.store.delete(f"audio/{task_id}")
    reply = await client.post(retry_url(task_id))
    assert (reply.status_code, reply.json()["error"]["code"]) == (410, "audio_gone")


async def test_an_unknown_task_can_neither_be_retried_nor_deleted(client):
    assert (await client.post(retry_url("nothing"))).status_code == 404
    assert (await client.delete(task_url("nothing"))).status_code == 404


async def test_a_deleted_task_leaves_nothing_behind(submit, client, platform, claim, transcript):
    task_id = (await submit()).json()["task_id"]
    consumer = await platform.consumer()
    await platform.complete(consumer, await claim(consumer), transcript)
    assert len(platform.stored()) == 2
    reply = await client.delete(task_url(task_id))
    assert (reply.status_code, reply.json()) == (200, {"task_id": task_id, "status": "deleted"})
    assert platform.stored() == []
    assert (await client.get(f"/api/v1/asr/result/{task_id}")).status_code == 404
    assert (await client.get("/api/v1/asr/history")).json()["tasks"] == []
    assert (await client.delete(task_url(task_id))).status_code == 404


@pytest.mark.parametrize("cancelled_first", [False, True])
async def test_a_waiting_task_that_is_deleted_is_never_begun(
    submit, client, platform, cancelled_first
):
    task_id = (await submit()).json()["task_id"]
    consumer = await platform.consumer()
    if cancelled_first:
        await Producer(platform.connect(), platform.settings).cancel(task_id)
        assert await consumer.claim(room_seconds=3600, room_tasks=9, in_flight=0) == []
        assert platform.stored() == [f"audio/{task_id}"]
    assert (await client.delete(task_url(task_id))).status_code == 200
    assert platform.stored() == []
    assert await consumer.claim(room_seconds=3600, room_tasks=9, in_flight=0) == []
    status = (await client.get("/api/v1/asr/queue/status")).json()
    assert (status["waiting"], status["in_flight"], status["audio_seconds"]) == (0, 0, 0)


async def test_a_recording_of_one_sample_is_counted_like_any_other(
    submit, client, platform, make_wav, claim, transcript
):
    """It lasts less than half a millisecond, which the queue counts as none."""
    consumer = await platform.consumer()
    ids = [(await submit(make_wav(1 / 8000))).json()["task_id"] for _ in range(3)]
    assert await platform.complete(consumer, await claim(consumer), transcript) is Outcome.OK
    held = await claim(consumer)
    broken = Failure(held.task.task_id, held.token, "unreadable_audio", "broken", True)
    assert await consumer.fail([broken]) == [Outcome.OK]
    for task_id in ids:
        assert (await client.delete(task_url(task_id))).status_code == 200


async def test_a_task_deleted_while_it_runs_leaves_nothing_behind(
    submit, client, platform, claim, transcript
):
    task_id = (await submit()).json()["task_id"]
    consumer = await platform.consumer()
    held = await claim(consumer)
    assert (await client.delete(task_url(task_id))).status_code == 200
    outcome = await platform.complete(consumer, held, transcript)
    assert outcome is Outcome.GONE
    await platform.store.delete(result_path(task_id, held.task.attempt))  # as a worker must
    assert platform.stored() == []
    assert (await client.get(f"/api/v1/asr/result/{task_id}")).status_code == 404


async def test_a_task_is_deleted_even_when_the_store_is_away(submit, client, platform):
    task_id = (await submit()).json()["task_id"]

    async def fail(path: str) -> None:
        raise StoreUnavailable(f"cannot reach {path}")

    platform.app.state.services.store.delete = fail
    reply = await client.delete(task_url(task_id))
    assert reply.status_code == 503
    assert "sweep" in reply.json()["error"]["message"]
    assert (await client.get(f"/api/v1/asr/result/{task_id}")).status_code == 404
