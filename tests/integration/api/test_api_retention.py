"""What a client sees of a task whose recording, or everything, was past its time."""

from __future__ import annotations

import asyncio
import random

import pytest

from asr_core.errors import StoreUnavailable
from asr_core.lifecycle.retention import Retention
from asr_core.queue import Failure, OrphanIndex, Producer
from asr_core.queue.retention_index import RetentionIndex
from asr_core.retention_policy import RetentionPolicy

pytestmark = pytest.mark.asyncio


@pytest.fixture
def retain(platform):
    """One pass under these limits."""

    connection = platform.connect()
    keeping, sweeping = RetentionIndex(connection), OrphanIndex(connection)

    async def run(**limits):
        return await Retention(keeping, sweeping, platform.store, RetentionPolicy(**limits)).run()

    return run


@pytest.fixture
def complete(submit, platform, claim, transcript):
    """Submits a recording and completes its task."""

    async def run() -> str:
        task_id = (await submit()).json()["task_id"]
        consumer = await platform.consumer()
        await platform.complete(consumer, await claim(consumer), transcript)
        return task_id

    return run


@pytest.fixture
def cancel(submit, platform):
    """Submits a recording and cancels its task."""
    producer = Producer(platform.connect(), platform.settings)

    async def run() -> str:
        task_id = (await submit()).json()["task_id"]
        await producer.cancel(task_id)
        return task_id

    return run


async def test_a_task_keeps_its_transcript_when_its_recording_has_gone(client, complete, retain):
    old, new = await complete(), await complete()
    await retain(max_recordings=1)
    result = await client.get(f"/api/v1/asr/result/{old}")
    assert result.status_code == 200
    assert result.json()["result"]["text"] == "good morning"
    assert result.json()["audio_available"] is False
    history = (await client.get("/api/v1/asr/history")).json()["tasks"]
    assert {task["task_id"]: task["audio_available"] for task in history} == {old: False, new: True}
    audio = await client.get(f"/api/v1/asr/audio/{old}")
    assert (audio.status_code, audio.json()["error"]["code"]) == (410, "audio_gone")
    assert (await client.get(f"/api/v1/asr/audio/{new}")).status_code == 200


async def test_a_retry_after_the_recording_has_gone_is_410(client, cancel, retain):
    task_id = await cancel()
    await retain(max_recordings=0)
    reply = await client.post(f"/api/v1/asr/retry/{task_id}")
    assert (reply.status_code, reply.json()["error"]["code"]) == (410, "audio_gone")
    assert (await client.get("/api/v1/asr/queue/status")).json()["waiting"] == 0


async def test_a_completed_task_is_409_for_a_retry_with_and_without_its_recording(
    client, complete, retain
):
    task_id = await complete()
    for _ in range(2):
        assert (await client.post(f"/api/v1/asr/retry/{task_id}")).status_code == 409
        await retain(max_recordings=0)


async def test_what_is_marked_is_gone_although_its_file_is_still_there(
    client, platform, cancel, retain, monkeypatch
):
    """A pass that broke off between the two."""
    task_id = await cancel()

    async def away(path: str) -> None:
        raise StoreUnavailable("away")

    monkeypatch.setattr(platform.store, "delete", away)
    assert (await retain(max_recordings=0)).errors == 1
    assert platform.stored() == [f"audio/{task_id}"]
    assert (await client.get(f"/api/v1/asr/audio/{task_id}")).status_code == 410
    assert (await client.post(f"/api/v1/asr/retry/{task_id}")).status_code == 410


async def test_a_failed_task_can_be_retried_until_its_record_goes(
    client, submit, platform, claim, retain
):
    task_id = (await submit()).json()["task_id"]
    consumer = await platform.consumer()
    for _ in range(2):
        held = await claim(consumer)
        await consumer.fail([Failure(task_id, held.token, "unreadable_audio", "broken", True)])
        await retain(max_recordings=0, recordings_max_age_ms=0)
        assert (await client.post(f"/api/v1/asr/retry/{task_id}")).status_code == 202
    held = await claim(consumer)
    await consumer.fail([Failure(task_id, held.token, "unreadable_audio", "broken", True)])
    await retain(results_max_age_ms=0)
    assert (await client.post(f"/api/v1/asr/retry/{task_id}")).status_code == 404


async def test_past_its_time_everything_of_a_task_is_404(client, platform, complete, retain):
    task_id = await complete()
    await retain(results_max_age_ms=0)
    for path in ("result", "audio", "events"):
        assert (await client.get(f"/api/v1/asr/{path}/{task_id}")).status_code == 404, path
    assert (await client.get("/api/v1/asr/history")).json()["tasks"] == []
    assert platform.stored() == []


async def test_a_retry_over_http_at_the_same_time_never_queues_a_task_without_audio(
    client, platform, cancel, retain
):
    chance, seen = random.Random(5), set()
    for _ in range(30):
        tasks = [await cancel() for _ in range(3)]

        async def retry(task_id: str, delay_seconds: float) -> int:
            await asyncio.sleep(delay_seconds)
            return (await client.post(f"/api/v1/asr/retry/{task_id}")).status_code

        async def retain_later(delay_seconds: float) -> None:
            await asyncio.sleep(delay_seconds)
            await retain(max_recordings=0)

        delays = [chance.uniform(0, 0.012) for _ in tasks]
        head_start = chance.choice((0.0, 0.006, 0.03))
        _, *statuses = await asyncio.gather(retain_later(head_start), *map(retry, tasks, delays))
        for task_id, status in zip(tasks, statuses, strict=True):
            seen.add(status)
            task = (await client.get(f"/api/v1/asr/result/{task_id}")).json()
            wanted = ("queued", True) if status == 202 else ("cancelled", False)
            assert (task["status"], task["audio_available"]) == wanted, status
            assert (f"audio/{task_id}" in platform.stored()) is (status == 202)
            await client.delete(f"/api/v1/asr/task/{task_id}")
    assert seen == {202, 410}
