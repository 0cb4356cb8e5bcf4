"""Results: every state as json, transcripts in four formats, and waiting for the end."""

from __future__ import annotations

import asyncio
import threading

import pytest

from asr_api.routes import result
from asr_core.queue import Failure
from asr_core.task import results_prefix

pytestmark = pytest.mark.asyncio


@pytest.fixture
def run(platform, claim, transcript):
    """Completes the next task as a worker would."""

    async def complete():
        consumer = await platform.consumer()
        return await platform.complete(consumer, await claim(consumer), transcript)

    return complete


async def test_a_waiting_task_tells_its_place(submit, client):
    await submit()
    link = (await submit()).json()["links"]["result"]
    body = (await client.get(link)).json()
    assert (body["status"], body["position"], body["result"]) == ("queued", 2, None)
    assert body["started_at"] is None


async def test_a_task_in_work_has_no_place_and_a_start(submit, client, platform, claim):
    link = (await submit()).json()["links"]["result"]
    await claim(await platform.consumer())
    body = (await client.get(link)).json()
    assert (body["status"], body["position"], body["attempt"]) == ("processing", None, 1)
    assert body["started_at"].endswith("Z")


async def test_a_completed_task_has_its_transcript(submit, client, run, transcript):
    link = (await submit()).json()["links"]["result"]
    await run()
    body = (await client.get(link)).json()
    assert (body["status"], body["progress"], body["model"]) == ("completed", 1.0, "embedded")
    assert body["result"] == transcript.model_dump(mode="json")
    assert body["error"] is None


@pytest.mark.parametrize(
    ("form", "media_type", "begin"),
    [
        ("text", "text/plain; charset=utf-8", "good morning"),
        ("srt", "application/x-subrip; charset=utf-8", "1\n00:00:00,000 --> 00:00:01,000\n"),
        ("vtt", "text/vtt; charset=utf-8", "WEBVTT\n"),
    ],
)
async def test_a_transcript_can_be_had_as_text_and_subtitles(
    submit, client, run, form, media_type, begin
):
    link = (await submit()).json()["links"]["result"]
    await run()
    reply = await client.get(link, params={"format": form})
    assert reply.status_code == 200
    assert reply.headers["content-type"] == media_type
    assert reply.text.startswith(begin)


async def test_others_are_served_while_hours_of_words_are_laid_out(
    submit, client, run, monkeypatch
):
    link = (await submit()).json()["links"]["result"]
    await run()
    begun, others_served = threading.Event(), threading.Event()

    def lay_out(*_):
        begun.set()
        assert others_served.wait(30), "the loop stood still"
        return "1\n"

    monkeypatch.setattr(result, "render", lay_out)
    reply = asyncio.create_task(client.get(link, params={"format": "srt"}))
    assert await asyncio.to_thread(begun.wait, 30)
    assert (await client.get("/healthz")).status_code == 200
    others_served.set()
    assert (await reply).text == "1\n"


async def test_subtitles_of_an_unfinished_task_are_a_conflict(submit, client):
    link = (await submit()).json()["links"]["result"]
    reply = await client.get(link, params={"format": "srt"})
    assert reply.status_code == 409
    assert reply.json()["error"]["code"] == "state_conflict"
    assert "queued" in reply.json()["error"]["message"]


async def test_a_failed_task_tells_why(submit, client, platform, claim):
    link = (await submit()).json()["links"]["result"]
    consumer = await platform.consumer()
    held = await claim(consumer)
    why = Failure(held.task.task_id, held.token, "unreadable_audio", "broken frame", True)
    await consumer.fail([why])
    body = (await client.get(link)).json()
    assert body["status"] == "failed"
    assert body["error"] == {"code": "unreadable_audio", "message": "broken frame"}
    reply = await client.get(link, params={"format": "text"})
    assert reply.status_code == 409
    assert "broken frame" in reply.json()["error"]["message"]


async def test_a_format_that_is_not_served_is_422(submit, client):
    link = (await submit()).json()["links"]["result"]
    reply = await client.get(link, params={"format": "docx"})
    assert reply.status_code == 422
    assert reply.json()["error"]["param"] == "format"


async def test_an_unknown_task_is_404(client):
    reply = await client.get("/api/v1/asr/result/0197d4a5-2f6e-7c3a-9b1d-4e8f2a6c0d11")
    assert reply.status_code == 404
    assert reply.json()["error"]["code"] == "task_not_found"


async def test_a_result_that_was_deleted_from_the_store_is_410(submit, client, run, platform):
    body = (await submit()).json()
    await run()
    await platform.store.delete_prefix(results_prefix(body["task_id"]))
    reply = await client.get(body["links"]["result"])
    assert reply.status_code == 410
    assert reply.json()["error"]["code"] == "result_gone"


async def test_waiting_ends_with_the_task(submit, client, run):
    link = (await submit()).json()["links"]["result"]
    waiting = asyncio.create_task(client.get(link, params={"wait": 20}))
    await run()
    body = (await asyncio.wait_for(waiting, 10)).json()
    assert body["status"] == "completed"
    assert body["result"]["text"] == "good morning"


async def test_waiting_many_times_in_turn_works(submit, client, run):
    for _ in range(3):
        link = (await submit()).json()["links"]["result"]
        waiting = asyncio.create_task(client.get(link, params={"wait": 20}))
        await run()
        assert (await asyncio.wait_for(waiting, 10)).json()["status"] == "completed"


async def test_waiting_too_short_tells_the_present_state(submit, client):
    link = (await submit()).json()["links"]["result"]
    reply = await client.get(link, params={"wait": 0.1})
    assert reply.status_code == 200
    assert reply.json()["status"] == "queued"


async def test_waiting_for_a_task_that_is_deleted_ends_with_404(submit, client, platform):
    body = (await submit()).json()
    waiting = asyncio.create_task(client.get(body["links"]["result"], params={"wait": 20}))
    await _watched(platform)
    await client.delete(f"/api/v1/asr/task/{body['task_id']}")
    assert (await asyncio.wait_for(waiting, 10)).status_code == 404


async def test_waiting_does_not_outlive_the_client(submit, client, platform):
    body = (await submit()).json()
    waiting = asyncio.create_task(client.get(body["links"]["result"], params={"wait": 50}))
    await _watched(platform)
    waiting.cancel()
    await _watched(platform, count=0)


async def _watched(platform, count: int = 1) -> None:
    """Until `count` tasks are listened to."""
    async with asyncio.timeout(10):
        while len(platform.app.state.services.watcher._listeners) != count:
            await asyncio.sleep(0.01)
