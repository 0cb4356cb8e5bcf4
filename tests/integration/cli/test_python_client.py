"""`asr_platform`, both clients, against a running API: one recording from submit to its end."""

from __future__ import annotations

import asyncio
import http.server
import json
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from asr_platform import (
    AsyncClient,
    NotFound,
    RateLimited,
    RequestFailed,
    ServerUnreachable,
    TaskNotCompleted,
    WaitTimeout,
)

Recordings = Callable[..., list[str]]


@pytest.fixture
def client(client_class: Any, api_url: str) -> Iterator[Any]:
    with client_class(api_url, patience_seconds=30) as connected:
        yield connected


@pytest.mark.usefixtures("stand_in_worker")
def test_a_recording_is_followed_from_submit_to_its_deletion(
    client: Any, recordings: Recordings, tmp_path: Path
) -> None:
    (file,) = recordings("meeting.wav")
    accepted = client.submit(file, lane="batch", language="en", idempotency_key="once")
    again = client.submit(Path(file), lane="batch", language="en", idempotency_key="once")
    assert again.task_id == accepted.task_id
    events = list(client.events(accepted))
    assert (events[-1].status, events[-1].task_id) == ("completed", accepted.task_id)
    seen: list[str] = []
    task = client.wait(accepted, timeout=30, on_progress=lambda task: seen.append(task.status))
    assert (task.lane, task.options["language"], seen[-1]) == ("batch", "en", "completed")
    assert task.finished_at > task.created_at
    words = "the words of meeting.wav"
    assert task.result.text == client.transcript(task).text == words
    assert task.result.segments[0].end_seconds == 0.5
    assert client.result(task) == f"{words}\n"
    assert words in client.result(task, format="srt")
    assert client.result(task, "vtt").startswith("WEBVTT")
    assert json.loads(client.result(task, "json"))["result"]["text"] == words
    assert b"".join(client.audio(task)) == Path(file).read_bytes()
    assert client.save_audio(task, tmp_path / "again.wav").read_bytes() == Path(file).read_bytes()
    with pytest.raises(RequestFailed) as refused:
        client.retry(task)
    assert (refused.value.status, refused.value.code) == (409, "state_conflict")
    client.delete(task)
    with pytest.raises(NotFound) as gone:
        client.task(task)
    assert (gone.value.status, gone.value.code) == (404, "task_not_found")
    assert gone.value.request_id


@pytest.mark.usefixtures("stand_in_worker")
def test_the_transcript_of_one_file_is_one_call(client: Any, recordings: Recordings) -> None:
    files = recordings("a.wav", "bad.wav")
    with open(files[0], "rb") as file:
        transcript = client.transcribe(file, hotwords=["kopf"], filename="b.wav")
    assert transcript.text == "the words of b.wav"
    with pytest.raises(TaskNotCompleted, match="failed: no speech") as failed:
        client.transcribe(files[1], timeout=30)
    assert (failed.value.code, failed.value.task.filename) == ("permanent_failure", "bad.wav")
    assert client.retry(failed.value.task).task_id == failed.value.task.task_id
    with pytest.raises(TaskNotCompleted):
        client.wait(failed.value.task)
    assert [task.filename for task in client.history()] == ["bad.wav", "b.wav"]
    assert [task.filename for task in client.history(state="completed")] == ["b.wav"]
    page = client.history_page(limit=1)
    assert (len(page.tasks), bool(page.next_cursor)) == (1, True)
    (tenant,) = client.usage(tenant="default").tenants
    assert (tenant.tasks, tenant.days[0].tasks) == (1, 1)
    assert client.stats(minutes=5).totals.completed == 1
    assert client.stats(pool="default").pools["default"].failed == 2
    assert client.stats(tenant="nobody").totals.completed == 0
    assert client.queue_status(tenant="nobody").tenant == "nobody"


def test_what_the_platform_says_of_itself_and_what_it_refuses(
    client: Any, client_class: Any, api_url: str, recordings: Recordings
) -> None:
    """Nobody works here, and the queue's cap is 3."""
    files = recordings("a.wav", "b.wav", "c.wav", "d.wav")
    first = client.submit(files[0])
    assert (first.status, first.position) == ("queued", 1)
    with pytest.raises(WaitTimeout) as late:
        client.wait(first, timeout=0.2)
    assert late.value.task_id == first.task_id
    with pytest.raises(RequestFailed) as early:
        client.result(first, "srt")
    assert early.value.code == "state_conflict"
    client.check()
    assert client.ready() is True
    health = client.health()
    assert (health.status, health.redis.status, health.workers.status) == ("degraded", "ok", "none")
    assert "default" in [model.id for model in client.models()]
    status = client.queue_status(pool="default")
    assert (status.waiting, status.lanes["normal"].waiting, status.workers) == (1, 1, ())
    with pytest.raises(RequestFailed) as option:
        client.submit(files[1], track=7)
    assert (option.value.status, option.value.code, option.value.param) == (
        422, "invalid_option", "track",
    )  # fmt: skip
    with pytest.raises(RequestFailed) as inward:
        client.submit("http://127.0.0.1/inward.wav")
    assert inward.value.code == "url_refused"
    with client_class(api_url, patience_seconds=0) as hasty:
        for file in files[1:3]:
            hasty.submit(file)
        with pytest.raises(RateLimited) as full:
            hasty.submit(files[3])
    assert (full.value.status, full.value.code) == (429, "queue_full")
    assert next(client.events(first)).status == "queued"


def test_a_call_that_is_cancelled_leaves_no_task_and_no_connection_behind(
    api_url: str, recordings: Recordings
) -> None:
    """The recording never ends, until its upload is cancelled; then nothing has been submitted."""

    class Endless:
        filename = "endless.wav"

        def __init__(self) -> None:
            self.read_once = asyncio.Event()

        async def read(self, size: int = -1) -> bytes:
            self.read_once.set()
            return b"RIFF" + bytes(1020)

        async def seek(self, offset: int) -> int:
            return offset

    async def cancelled() -> list[object]:
        async with AsyncClient(api_url) as client:
            for source in (Endless(), Endless()):
                call = asyncio.create_task(client.transcribe(source))
                await source.read_once.wait()
                call.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await call
            assert asyncio.all_tasks() == {asyncio.current_task()}
            return [task async for task in client.history()]

    assert asyncio.run(cancelled()) == []


def test_a_server_whose_certificate_is_not_trusted_is_said_after_one_try(
    client_class: Any, certificates: Any
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.certificate, certificates.key)
    server = http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    serving = threading.Thread(target=server.serve_forever)
    serving.start()
    try:
        address = f"https://127.0.0.1:{server.server_port}"
        with client_class(address) as client, pytest.raises(ServerUnreachable) as raised:
            client.result("some-task")
    finally:
        server.shutdown()
        serving.join()
        server.server_close()
    assert "certificate" in str(raised.value).lower()
    assert "given up after" not in str(raised.value)
