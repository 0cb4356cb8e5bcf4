"""What the clients send, send again, and raise."""

from __future__ import annotations

import asyncio
import pickle
from datetime import date
from pathlib import Path
from typing import Any

import httpx
import pytest

from asr_platform import (
    AccessDenied,
    ClientError,
    InvalidArgument,
    NotFound,
    RateLimited,
    RequestFailed,
    ServerUnreachable,
    Task,
    TaskNotCompleted,
    WaitTimeout,
    waiting,
)


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    path = tmp_path / "talk.wav"
    path.write_bytes(b"RIFF....")
    return path


def test_all_tries_of_one_submit_carry_one_idempotency_key(script: Any, recording: Path) -> None:
    lost = httpx.ReadError("reply lost")
    with script(script.busy(), lost, script.accepted()) as client:
        assert client.submit(recording).task_id == "t1"
    assert len({request.headers["Idempotency-Key"] for request in script.seen}) == 1
    assert len(script.seen) == 3
    assert all(b"RIFF...." in request.content for request in script.seen)


def test_a_submission_waits_minutes_for_its_reply_since_the_server_stores_all_first(
    script: Any, recording: Path
) -> None:
    with script(script.accepted()) as client:
        client.submit(recording)
    assert script.seen[0].extensions["timeout"]["read"] >= 600


def test_two_submits_have_two_keys(script: Any, recording: Path) -> None:
    with script(script.accepted(), script.accepted()) as client:
        client.submit(recording)
        client.submit(recording)
    assert len({request.headers["Idempotency-Key"] for request in script.seen}) == 2


@pytest.mark.parametrize("key", ["two words", "schlüssel", "x" * 256])
def test_a_key_that_no_header_can_carry_is_refused_before_anything_is_sent(
    script: Any, recording: Path, key: str
) -> None:
    with script() as client, pytest.raises(InvalidArgument, match="idempotency key"):
        client.submit(recording, idempotency_key=key)


def test_a_refusal_is_told_in_the_servers_words(script: Any, recording: Path) -> None:
    with (
        script(script.refusal(415, "This is no audio.")) as client,
        pytest.raises(ClientError, match=r"This is no audio\. \(HTTP 415\)"),
    ):
        client.submit(recording)
    assert len(script.seen) == 1


def test_a_proxys_page_is_told_too(script: Any, recording: Path) -> None:
    with (
        script(httpx.Response(413, text="<html>too large</html>")) as client,
        pytest.raises(ClientError, match=r"too large.*413") as raised,
    ):
        client.submit(recording)
    assert (raised.value.status, raised.value.code) == (413, None)


def test_patience_ends(script: Any, recording: Path) -> None:
    full = script.refusal(429, "The queue is full.", **{"Retry-After": "30"})
    with (
        script(full, patience_seconds=5) as client,
        pytest.raises(RateLimited, match=r"The queue is full.*given up after 1 tries"),
    ):
        client.submit(recording)


def test_waiting_goes_on_until_the_task_has_ended(script: Any) -> None:
    done = script.task("completed", progress=1.0, result={"text": "words"})
    told: list[tuple[str, float]] = []
    with script(script.task("queued"), script.task("processing", progress=0.5), done) as client:
        task = client.wait("t1", on_progress=lambda task: told.append((task.status, task.progress)))
    assert task.result.text == "words"
    assert told == [("queued", 0.0), ("processing", 0.5), ("completed", 1.0)]
    assert all(float(request.url.params["wait"]) > 0 for request in script.seen)


def test_a_wait_ends_with_its_time_and_says_for_which_task(script: Any) -> None:
    with script(script.task("processing")) as client:
        with pytest.raises(WaitTimeout, match="t1 is processing after 0 s") as raised:
            client.wait("t1", timeout=0)
        assert isinstance(raised.value, TimeoutError)
        assert raised.value.task_id == "t1"
    assert "wait" not in script.seen[0].url.params


def test_the_time_of_a_transcription_is_for_upload_and_wait(
    script: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never(request: httpx.Request) -> httpx.Response:
        return await asyncio.get_running_loop().create_future()

    with script(never) as client:
        with pytest.raises(WaitTimeout, match=r"not submitted after 0\.05 s") as raised:
            client.transcribe(b"RIFF....", timeout=0.05)
        assert raised.value.task_id == ""
    monkeypatch.setattr(waiting, "PAUSE_SECONDS", 0.1)
    answers = [script.task("queued") for _ in range(1000)]
    with script(script.accepted(), *answers) as client:
        with pytest.raises(WaitTimeout, match="t1 is queued") as raised:
            client.transcribe(b"RIFF....", timeout=0.3)
        assert raised.value.task_id == "t1"


def test_a_server_that_does_not_wait_is_asked_in_decent_intervals(
    script: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "PAUSE_SECONDS", 0.1)
    answers = [script.task("queued") for _ in range(1000)]
    with script(*answers) as client, pytest.raises(WaitTimeout, match="t1 is queued after"):
        client.wait("t1", timeout=0.3)
    assert len(script.seen) <= 5


def test_a_wait_ends_with_its_time_also_while_the_server_is_away(script: Any) -> None:
    with (
        script(script.refusal(503, "away", **{"Retry-After": "30"})) as client,
        pytest.raises(RequestFailed, match="away"),
    ):
        client.wait("t1", timeout=5)


@pytest.mark.parametrize(
    ("ended", "code", "message"),
    [
        ({"status": "failed", "error": {"code": "unreadable_audio", "message": "bad header"}},
         "unreadable_audio", "failed: bad header"),
        ({"status": "cancelled"}, "cancelled", "cancelled: cancelled"),
    ],
)  # fmt: skip
def test_a_task_without_a_transcript_is_an_error_with_its_reason_and_the_task(
    script: Any, ended: dict[str, Any], code: str, message: str
) -> None:
    for call in ("wait", "transcript"):
        with (
            script(script.task(**ended)) as client,
            pytest.raises(TaskNotCompleted, match=message) as raised,
        ):
            getattr(client, call)("t1")
        assert raised.value.code == code
        assert isinstance(raised.value.task, Task)


def test_an_open_task_has_no_transcript(script: Any) -> None:
    with script(script.task("queued")) as client, pytest.raises(TaskNotCompleted) as raised:
        client.transcript("t1")
    assert raised.value.code == "queued"


def test_an_error_says_its_status_code_and_request_id(script: Any) -> None:
    gone = script.refusal(410, "Deleted.", code="result_gone", **{"X-Request-Id": "r-17"})
    with script(gone) as client, pytest.raises(NotFound) as raised:
        client.result("t1")
    error = pickle.loads(pickle.dumps(raised.value))
    assert (error.status, error.code, error.request_id) == (410, "result_gone", "r-17")


@pytest.mark.parametrize(
    ("status", "kind"),
    [(401, AccessDenied), (403, AccessDenied), (404, NotFound), (422, RequestFailed)],
)
def test_errors_have_the_type_of_their_status(
    script: Any, status: int, kind: type[ClientError]
) -> None:
    with script(script.refusal(status, "no")) as client, pytest.raises(ClientError) as raised:
        client.usage()
    assert type(raised.value) is kind


def test_a_server_that_redirects_is_told_with_the_address_to_give(script: Any) -> None:
    moved = httpx.Response(301, headers={"Location": "https://asr.test/api"})
    with (
        script(moved) as client,
        pytest.raises(ClientError, match=r"https://asr\.test/api") as raised,
    ):
        client.result("t1")
    assert raised.value.status == 301


def test_another_kind_of_server_is_recognised(script: Any) -> None:
    hello = httpx.Response(200, text="<html>hello</html>")
    with script(hello, hello, hello) as client:
        with pytest.raises(ServerUnreachable, match="not an asr-platform API"):
            client.check()
        with pytest.raises(ServerUnreachable, match="result/t1 did not answer as an asr-platform"):
            client.task("t1")
        with pytest.raises(ServerUnreachable, match="did not answer"):
            client.health()


def test_a_server_that_never_answers_is_unreachable(script: Any) -> None:
    with (
        script(httpx.ConnectError("refused"), patience_seconds=0) as client,
        pytest.raises(ServerUnreachable, match="refused; given up after 1 tries") as raised,
    ):
        client.result("t1")
    assert (raised.value.status, raised.value.code) == (None, None)
    with script(httpx.ConnectError("refused"), httpx.ConnectError("refused")) as client:
        assert client.ready() is False
        with pytest.raises(ServerUnreachable, match=r"no server answers at http://asr\.test"):
            client.health()


def test_what_trying_again_cannot_change_is_not_tried_again(script: Any) -> None:
    with (
        script(httpx.LocalProtocolError("Illegal header value")) as client,
        pytest.raises(ServerUnreachable, match="Illegal header value"),
    ):
        client.result("t1")
    garbled = httpx.DecodingError("not gzip")
    with (
        script(garbled, patience_seconds=0) as client,
        pytest.raises(ServerUnreachable, match="not gzip"),
    ):
        client.result("t1")
    stop = script.refusal(429, "quota is used up", **{"x-should-retry": "false"})
    with script(stop) as client, pytest.raises(RateLimited, match="quota is used up"):
        client.result("t1")


def test_a_deletion_whose_reply_was_lost_is_done(script: Any) -> None:
    unknown = script.refusal(404, "no task", code="task_not_found")
    with script(script.busy(), unknown) as client:
        client.delete("t1")
    with script(unknown) as client, pytest.raises(NotFound):
        client.delete("t1")


def test_a_retry_whose_reply_was_lost_is_done(script: Any) -> None:
    conflict = script.refusal(409, "The task is queued.", code="state_conflict")
    with script(script.busy(), conflict, script.task("queued", position=3)) as client:
        assert client.retry("t1").position == 3
    for answers in ([conflict], [script.busy(), conflict, script.task("completed")]):
        with script(*answers) as client, pytest.raises(RequestFailed, match="queued"):
            client.retry("t1")


def test_a_platform_that_is_unavailable_is_an_answer(script: Any) -> None:
    away = {"status": "unavailable", "message": "refused"}
    body = {"status": "unavailable", "redis": away, "store": away, "workers": {"status": "unknown"}}
    with script(httpx.Response(503, json={**body, "new": 1})) as client:
        health = client.health()
    assert (health.status, health.redis.message, health.workers.alive) == (
        "unavailable", "refused", None,
    )  # fmt: skip


def test_a_history_is_read_page_by_page_and_only_as_far_as_it_is_asked_for(script: Any) -> None:
    def page(*task_ids: str, cursor: str | None) -> httpx.Response:
        tasks = [{"task_id": task_id, "status": "completed"} for task_id in task_ids]
        return httpx.Response(200, json={"tasks": tasks, "next_cursor": cursor})

    answers = [page("a", "b", cursor="c1"), page(cursor="c2"), page("c", cursor=None)]
    with script(*answers) as client:
        assert [task.task_id for task in client.history(state="completed")] == ["a", "b", "c"]
    assert [request.url.params.get("cursor") for request in script.seen] == ["", "c1", "c2"]
    assert {request.url.params["state"] for request in script.seen} == {"completed"}
    with script(*answers) as client:
        assert next(client.history()).task_id == "a"
    assert len(script.seen) == 1


def test_a_recording_of_which_the_server_fetches_the_url_is_sent_as_json(script: Any) -> None:
    with script(script.accepted()) as client:
        client.submit("https://example.com/a.mp3", track=2, itn=False, hotwords="kopf, redis")
        with pytest.raises(InvalidArgument, match="has its name from there"):
            client.submit("https://example.com/a.mp3", filename="b.mp3")
    (request,) = script.seen
    assert request.headers["Content-Type"] == "application/json"
    assert httpx.Response(200, content=request.content).json() == {
        "url": "https://example.com/a.mp3", "track": 2, "itn": False, "hotwords": ["kopf", "redis"],
    }  # fmt: skip


def test_a_task_is_known_by_its_id_or_by_what_the_client_gave_for_it(script: Any) -> None:
    done = script.task("completed", result={"text": "words"})
    with script(script.accepted(), done, script.task("queued"), script.task("queued")) as client:
        accepted = client.submit(b"RIFF....")
        transcript = client.transcript(accepted)
        assert client.task(transcript).status == "queued"
        client.task("a/../b?c")
        with pytest.raises(InvalidArgument, match="empty"):
            client.task("")
    paths = [request.url.raw_path.decode() for request in script.seen[1:]]
    assert paths == [f"/api/v1/asr/result/{each}" for each in ("t1", "t1", "a%2F..%2Fb%3Fc")]


def test_days_of_usage_may_be_dates_or_text(script: Any) -> None:
    usage = {"first": "2026-01-01", "last": "2026-01-02", "tenants": [{"tenant": "a", "days": []}]}
    with script(httpx.Response(200, json=usage)) as client:
        got = client.usage(first=date(2026, 1, 1), last="2026-01-02", tenant="a")
    assert dict(script.seen[0].url.params) == {
        "from": "2026-01-01", "to": "2026-01-02", "tenant": "a",
    }  # fmt: skip
    assert got.last == date(2026, 1, 2)
