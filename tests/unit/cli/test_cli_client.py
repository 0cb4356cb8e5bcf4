from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from asr_cli.client import (
    AsrClient,
    ClientError,
    ServerUnreachable,
    SubmitOptions,
    TaskNotCompleted,
)

pytestmark = pytest.mark.asyncio
Answer = Callable[[httpx.Request], httpx.Response]


def client_of(answer: Answer, patience_seconds: float = 60.0) -> AsrClient:
    transport = httpx.MockTransport(answer)
    return AsrClient("http://asr.test/", patience_seconds=patience_seconds, transport=transport)


def scripted(*answers: httpx.Response | Exception) -> tuple[Answer, list[httpx.Request]]:
    """Answers in turn, and the requests that came."""
    left, seen = list(answers), []

    def answer(request: httpx.Request) -> httpx.Response:
        request.read()
        seen.append(request)
        now = left.pop(0)
        if isinstance(now, Exception):
            raise now
        return now

    return answer, seen


def refusal(status: int, message: str, **headers: str) -> httpx.Response:
    return httpx.Response(status, json={"error": {"message": message}}, headers=headers)


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    path = tmp_path / "talk.wav"
    path.write_bytes(b"RIFF....")
    return path


async def test_all_tries_of_one_submit_carry_one_idempotency_key(recording: Path) -> None:
    answer, seen = scripted(
        httpx.ReadError("reply lost"),
        refusal(503, "queue is away", **{"Retry-After": "0"}),
        httpx.Response(202, json={"task_id": "t1"}),
    )
    async with client_of(answer) as client:
        assert await client.submit(recording) == "t1"
    keys = {request.headers["Idempotency-Key"] for request in seen}
    assert len(seen) == 3
    assert len(keys) == 1
    assert all(b"RIFF...." in request.content for request in seen)


async def test_a_submission_waits_minutes_for_its_reply_since_the_server_stores_all_first(
    recording: Path,
) -> None:
    answer, seen = scripted(httpx.Response(202, json={"task_id": "t"}))
    async with client_of(answer) as client:
        await client.submit(recording)
    assert seen[0].extensions["timeout"]["read"] >= 600


async def test_two_submits_have_two_keys(recording: Path) -> None:
    answer, seen = scripted(*[httpx.Response(202, json={"task_id": "t"})] * 2)
    async with client_of(answer) as client:
        await client.submit(recording)
        await client.submit(recording)
    assert len({request.headers["Idempotency-Key"] for request in seen}) == 2


async def test_a_refusal_is_told_in_the_servers_words(recording: Path) -> None:
    answer, seen = scripted(refusal(415, "This is no audio."))
    async with client_of(answer) as client:
        with pytest.raises(ClientError, match=r"This is no audio\. \(HTTP 415\)"):
            await client.submit(recording)
    assert len(seen) == 1


async def test_a_proxys_page_is_told_too(recording: Path) -> None:
    answer, _ = scripted(httpx.Response(413, text="<html>too large</html>"))
    async with client_of(answer) as client:
        with pytest.raises(ClientError, match=r"too large.*413"):
            await client.submit(recording)


async def test_patience_ends(recording: Path) -> None:
    answer, _ = scripted(refusal(429, "The queue is full.", **{"Retry-After": "30"}))
    async with client_of(answer, patience_seconds=5) as client:
        with pytest.raises(ClientError, match=r"The queue is full.*given up after 1 tries"):
            await client.submit(recording)


async def test_waiting_goes_on_until_the_task_has_ended() -> None:
    answer, seen = scripted(
        httpx.Response(200, json={"status": "queued", "progress": 0}),
        httpx.Response(200, json={"status": "processing", "progress": 0.5}),
        httpx.Response(200, json={"status": "completed", "progress": 1.0, "task_id": "t"}),
    )
    told: list[tuple[str, float]] = []
    async with client_of(answer) as client:
        body = await client.wait("t", lambda state, part: told.append((state, part)))
    assert body["task_id"] == "t"
    assert told == [("queued", 0.0), ("processing", 0.5), ("completed", 1.0)]
    assert all(float(request.url.params["wait"]) > 0 for request in seen)


async def test_a_failed_task_is_an_error_with_its_reason() -> None:
    failed = {"status": "failed", "error": {"code": "unreadable_audio", "message": "bad header"}}
    answer, _ = scripted(httpx.Response(200, json=failed))
    async with client_of(answer) as client:
        with pytest.raises(TaskNotCompleted, match="failed: bad header"):
            await client.wait("t")


async def test_options_that_were_not_given_are_not_sent() -> None:
    assert SubmitOptions().form() == {}
    sent = SubmitOptions(lane="batch", itn=False, hotwords=("kopf", "redis")).form()
    assert sent == {"lane": "batch", "itn": "false", "hotwords": "kopf,redis"}


async def test_another_kind_of_server_is_recognised() -> None:
    answer, _ = scripted(httpx.Response(200, text="<html>hello</html>"))
    async with client_of(answer) as client:
        with pytest.raises(ServerUnreachable, match="no asr-platform API"):
            await client.check()


async def test_a_key_goes_with_every_request_and_comes_from_the_environment_if_none_is_given(
    recording: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ASR_API_KEY", "asr_environment")
    for given, sent in ((None, "Bearer asr_environment"), ("asr_given", "Bearer asr_given")):
        answer, seen = scripted(httpx.Response(202, json={"task_id": "t1"}))
        transport = httpx.MockTransport(answer)
        async with AsrClient("http://asr.test", api_key=given, transport=transport) as client:
            await client.submit(recording)
        assert seen[0].headers["Authorization"] == sent


async def test_a_refusal_that_says_not_to_try_again_is_final(recording: Path) -> None:
    answer, seen = scripted(refusal(429, "quota is used up", **{"x-should-retry": "false"}))
    async with client_of(answer) as client:
        with pytest.raises(ClientError, match="quota is used up"):
            await client.submit(recording)
    assert len(seen) == 1
