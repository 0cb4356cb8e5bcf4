"""Submitting: what is accepted, how it is stored, and that a key makes it repeatable."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from asr_core.errors import QueueUnavailable

pytestmark = pytest.mark.asyncio


async def test_an_accepted_recording_is_stored_and_queued(submit, platform, wav):
    reply = await submit()
    body = reply.json()
    assert reply.status_code == 202, reply.text
    assert (body["status"], body["position"]) == ("queued", 1)
    assert body["links"]["result"] == reply.headers["location"]
    assert platform.stored() == [f"audio/{body['task_id']}"]
    assert await platform.store.get(f"audio/{body['task_id']}") == wav
    assert platform.spooled() == []


async def test_the_second_in_line_is_told_so(submit):
    await submit()
    assert (await submit()).json()["position"] == 2


async def test_the_file_may_also_be_called_file(submit):
    assert (await submit(field="file")).status_code == 202


async def test_options_and_what_the_probe_found_reach_the_task(submit, client):
    reply = await submit(
        name="../../etc/weekly „Runde“.wav",
        pool="default",
        lane="batch",
        language="de",
        itn="yes",
        hotwords=["Kubernetes, Redis", "FunASR"],
        speakers="on",
        channels="split",
        track="1",
    )
    task = (await client.get(reply.json()["links"]["result"])).json()
    assert task["lane"] == "batch"
    assert task["filename"] == "weekly „Runde“.wav"
    assert task["content_type"] == "audio/wav"
    assert task["duration_seconds"] == 1.0
    assert task["options"] == {
        "language": "de",
        "task": "transcribe",
        "itn": True,
        "hotwords": ["Kubernetes", "Redis", "FunASR"],
        "prompt": "",
        "speakers": True,
        "channels": "split",
        "track": 1,
    }
    assert task["created_at"].endswith("Z")


async def test_options_may_come_after_the_audio(client, wav):
    head = b'--X\r\nContent-Disposition: form-data; name="audio"; filename="a.wav"\r\n\r\n'
    tail = b'\r\n--X\r\nContent-Disposition: form-data; name="lane"\r\n\r\nbatch\r\n--X--\r\n'
    reply = await client.post(
        "/api/v1/asr/submit",
        content=head + wav + tail,
        headers={"content-type": "multipart/form-data; boundary=X"},
    )
    assert reply.status_code == 202, reply.text
    task = (await client.get(reply.json()["links"]["result"])).json()
    assert task["lane"] == "batch"


@pytest.mark.parametrize("kind", ["flac", "mp3", "ogg", "webm", "m4a", "aac", "matroska"])
async def test_every_container_that_is_served_is_accepted(submit, client, encode, kind):
    reply = await submit(encode(kind, seconds=2.0), name="whatever.bin")
    assert reply.status_code == 202, reply.text
    task = (await client.get(reply.json()["links"]["result"])).json()
    assert task["duration_seconds"] == pytest.approx(2.0, abs=0.2)
    assert task["content_type"].startswith("audio/")


async def test_a_container_without_a_duration_is_measured_by_its_packets(submit, client, encode):
    reply = await submit(encode("webm", seconds=3.0, live=True))
    task = (await client.get(reply.json()["links"]["result"])).json()
    assert task["duration_seconds"] == pytest.approx(3.0, abs=0.2)


async def test_the_same_key_and_body_give_the_same_task_and_one_recording(submit, platform):
    key = {"Idempotency-Key": "order-17"}
    first = await submit(headers=key)
    second = await submit(headers=key, name="other-name.wav")
    assert second.status_code == 202
    assert second.json()["task_id"] == first.json()["task_id"]
    assert second.headers["idempotency-replayed"] == "true"
    assert platform.stored() == [f"audio/{first.json()['task_id']}"]


async def test_many_submissions_at_once_under_one_key_give_one_task(submit, platform):
    replies = await asyncio.gather(*(submit(headers={"Idempotency-Key": "k"}) for _ in range(12)))
    assert {reply.status_code for reply in replies} == {202}
    ids = {reply.json()["task_id"] for reply in replies}
    assert platform.stored() == [f"audio/{task_id}" for task_id in ids]


async def test_a_key_is_free_again_once_its_task_is_deleted(submit, client, platform):
    key = {"Idempotency-Key": "order-19"}
    first = (await submit(headers=key)).json()["task_id"]
    await client.delete(f"/api/v1/asr/task/{first}")
    reply = await submit(headers=key)
    assert reply.status_code == 202, reply.text
    assert reply.json()["task_id"] != first
    assert platform.stored() == [f"audio/{reply.json()['task_id']}"]


@pytest.mark.parametrize("change", [{"language": "fr"}, {"lane": "batch"}, {"audio": None}])
async def test_the_same_key_with_another_body_is_a_conflict(submit, platform, make_wav, change):
    key = {"Idempotency-Key": "order-18"}
    await submit(headers=key)
    if "audio" in change:
        change = {"audio": make_wav(0.5)}
    reply = await submit(headers=key, **change)
    assert reply.status_code == 409
    assert reply.json()["error"]["code"] == "idempotency_conflict"
    assert len(platform.stored()) == 1


async def test_an_empty_or_odd_key_is_refused(submit):
    reply = await submit(headers={"Idempotency-Key": "two words"})
    assert reply.status_code == 422
    assert reply.json()["error"]["param"] == "Idempotency-Key"


async def test_a_full_queue_is_429_and_leaves_no_recording(start_platform, wav):
    platform = start_platform(queue_cap=1)
    async with httpx.AsyncClient(base_url=platform.url) as client:
        first = await client.post("/api/v1/asr/submit", files={"audio": wav})
        reply = await client.post("/api/v1/asr/submit", files={"audio": wav})
    assert reply.status_code == 429
    assert reply.json()["error"]["type"] == "rate_limit_error"
    assert int(reply.headers["retry-after"]) > 0
    assert platform.stored() == [f"audio/{first.json()['task_id']}"]


async def test_a_submission_whose_reply_was_lost_is_found_again(submit, platform):
    producer = platform.app.state.services.producer
    real = producer.submit

    async def submit_and_lose_the_reply(task, waiter):
        await real(task, waiter)
        raise QueueUnavailable("connection reset")

    producer.submit = submit_and_lose_the_reply
    reply = await submit()
    assert reply.status_code == 202
    assert platform.stored() == [f"audio/{reply.json()['task_id']}"]


async def test_a_submission_that_certainly_failed_leaves_no_recording(submit, platform):
    async def fail(task, waiter):
        raise QueueUnavailable("connection refused")

    platform.app.state.services.producer.submit = fail
    reply = await submit()
    assert reply.status_code == 503
    assert platform.stored() == []
