from __future__ import annotations

import io
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
    WrongAddress,
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
    assert SubmitOptions(track=2).form() == {"track": "2"}
    assert SubmitOptions(track=2).body() == {"track": 2}
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


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("localhost:8000", "http://localhost:8000"),
        ("127.0.0.1:8000", "http://127.0.0.1:8000"),
        ("asr.example.com/speech", "http://asr.example.com/speech"),
        ("", "http://127.0.0.1:8000"),
        ("//asr.example.com", "http://asr.example.com"),
        ("ftp://asr.example.com", "http://HOST:PORT"),
        ("http://", "http://HOST:PORT"),
        ("http://asr.example.com:80a", "no URL"),
        ("http://asr.example.com/?key=1", r"before \?"),
    ],
)
async def test_an_address_that_is_none_is_refused_at_once_with_what_to_write(
    address: str, told: str
) -> None:
    with pytest.raises(WrongAddress, match=told):
        AsrClient(address)


async def test_a_server_that_never_answers_is_unreachable() -> None:
    answer, _ = scripted(httpx.ConnectError("refused"))
    async with client_of(answer, patience_seconds=0) as client:
        with pytest.raises(ServerUnreachable, match=r"refused; given up after 1 tries") as raised:
            await client.result("t1")
    assert (raised.value.status, raised.value.code) == (None, None)


async def test_what_trying_again_cannot_change_is_not_tried_again() -> None:
    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.LocalProtocolError("Illegal header value")

    async with client_of(refuse) as client:
        with pytest.raises(ServerUnreachable, match="Illegal header value"):
            await client.result("t1")


async def test_an_error_says_its_status_and_code(recording: Path) -> None:
    body = {"error": {"message": "No such task.", "code": "task_not_found"}}
    answer, _ = scripted(httpx.Response(404, json=body), httpx.Response(413, text="too large"))
    async with client_of(answer) as client:
        with pytest.raises(ClientError) as raised:
            await client.result("t1")
        assert (raised.value.status, raised.value.code) == (404, "task_not_found")
        with pytest.raises(ClientError) as raised:
            await client.submit(recording)
        assert (raised.value.status, raised.value.code) == (413, None)


async def test_a_failed_task_says_the_code_of_its_error() -> None:
    failed = {"status": "failed", "error": {"code": "unreadable_audio", "message": "bad header"}}
    answer, _ = scripted(
        httpx.Response(200, json=failed), httpx.Response(200, json={"status": "cancelled"})
    )
    async with client_of(answer) as client:
        for code in ("unreadable_audio", "cancelled"):
            with pytest.raises(TaskNotCompleted) as raised:
                await client.wait("t")
            assert raised.value.code == code


async def test_a_server_that_sends_elsewhere_is_told_with_the_address_to_give() -> None:
    moved = httpx.Response(301, headers={"Location": "https://asr.test/api"})
    answer, _ = scripted(moved)
    async with client_of(answer) as client:
        with pytest.raises(ClientError, match=r"https://asr\.test/api") as raised:
            await client.result("t1")
    assert raised.value.status == 301


async def test_a_path_as_text_bytes_and_open_files_are_sent_from_their_beginning_each_time(
    recording: Path,
) -> None:
    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

    behind = io.BytesIO()
    behind.write(b"RIFF....")
    with recording.open("rb") as opened:
        sources = {
            "path": (str(recording), "talk.wav"),
            "bytes": (b"RIFF....", "recording"),
            "file": (opened, "talk.wav"),
            "buffer": (behind, "recording"),
            "pipe": (Pipe(b"RIFF...."), "recording"),
        }
        for source, name in sources.values():
            busy = refusal(503, "busy", **{"Retry-After": "0"})
            answer, seen = scripted(busy, httpx.Response(202, json={"task_id": "t1"}))
            async with client_of(answer) as client:
                await client.submit(source)
            for request in seen:
                assert f'filename="{name}"'.encode() in request.content
                assert b"\r\n\r\nRIFF....\r\n" in request.content
        assert not opened.closed


async def test_what_is_no_recording_is_refused_before_anything_is_sent(tmp_path: Path) -> None:
    answer, seen = scripted()
    async with client_of(answer) as client:
        with pytest.raises(FileNotFoundError):
            await client.submit(tmp_path / "missing.wav")
        for source in (io.StringIO("text"), 17, "https://example.com/talk.mp3"):
            with pytest.raises(ClientError, match=r"binary mode|submit_url"):
                await client.submit(source)  # type: ignore[arg-type]
    assert seen == []


async def test_a_format_may_be_named_as_text_and_an_unknown_one_costs_no_upload(
    recording: Path,
) -> None:
    answer, seen = scripted(
        httpx.Response(202, json={"task_id": "t1"}),
        httpx.Response(200, json={"status": "completed"}),
        httpx.Response(200, text="1\n00:00:00,000 --> 00:00:01,000\nwords\n"),
    )
    async with client_of(answer) as client:
        assert "-->" in await client.transcribe(recording, format="srt")
        assert seen[-1].url.params["format"] == "srt"
        with pytest.raises(ClientError, match=r"'docx'.*text, srt, vtt"):
            await client.transcribe(recording, format="docx")
    assert len(seen) == 3


@pytest.mark.parametrize(
    ("name", "value"),
    [("hotwords", ["x" * 129]), ("language", "x" * 65), ("webhook", "https://" + "x" * 2048)],
)
async def test_text_that_the_api_refuses_is_refused_before_an_upload(
    name: str, value: object
) -> None:
    with pytest.raises(ClientError, match="may have") as caught:
        SubmitOptions(**{name: value})
    assert caught.value.code == "invalid_option"


async def test_hotwords_may_be_text_with_commas() -> None:
    assert SubmitOptions(hotwords="kopf,redis").form() == {"hotwords": "kopf,redis"}
    assert SubmitOptions(hotwords=["kopf"]).body() == {"hotwords": ["kopf"]}
