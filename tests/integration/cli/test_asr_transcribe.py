from __future__ import annotations

import asyncio
import http.server
import json
import ssl
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from asr_cli.blocking_client import BlockingClient, transcribe_file
from asr_cli.client import ClientError, ServerUnreachable, SubmitOptions
from asr_core.queue import RedisConnection, ServedModel, WorkerRecord
from asr_core.queue.workers import beat
from asr_core.settings import RedisSettings

pytestmark = pytest.mark.usefixtures("stand_in_worker")
Recordings = Callable[..., list[str]]


def test_the_transcript_of_one_file_is_all_that_stands_on_stdout(
    asr: Any, recordings: Recordings
) -> None:
    done = asr("transcribe", *recordings("talk.wav"))
    assert (done.returncode, done.stdout) == (0, "the words of talk.wav\n")


def test_more_files_than_the_queue_takes_are_all_transcribed_and_told_in_order(
    asr: Any, recordings: Recordings
) -> None:
    """The queue's cap is 3: the client is refused with 429 and tries again."""
    files = recordings(*(f"{n}.wav" for n in range(12)))
    done = asr("transcribe", *files, "--concurrency", "12", "--lane", "batch")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [f"{f}: the words of {Path(f).name}" for f in files]


def test_one_file_that_fails_is_named_and_the_others_are_written(
    asr: Any, recordings: Recordings, tmp_path: Path
) -> None:
    files = recordings("a.wav", "bad.wav", "b.wav")
    done = asr("transcribe", *files, "--format", "srt", "--output-dir", "out")
    assert done.returncode == 1
    assert "1 of 3 files failed" in done.stderr
    assert f"{files[1]}: failed: no speech" in done.stderr
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.srt", "b.srt"]
    assert "the words of a.wav" in (tmp_path / "out" / "a.srt").read_text()
    assert done.stdout == ""


def test_a_file_that_is_no_audio_fails_with_the_servers_words(asr: Any, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("not a recording")
    done = asr("transcribe", "notes.txt")
    assert done.returncode == 1
    assert "HTTP 415" in done.stderr


def test_json_of_many_files_is_one_line_for_each(asr: Any, recordings: Recordings) -> None:
    files = recordings("a.wav", "b.wav")
    done = asr("transcribe", *files, "--format", "json", "--channels", "split", "--track", "1")
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert [one["file"] for one in told] == files
    assert [one["result"]["text"] for one in told] == [
        "the words of a.wav",
        "the words of b.wav",
    ]
    assert {one["options"]["channels"] for one in told} == {"split"}
    assert {one["options"]["track"] for one in told} == {1}


def test_a_track_that_is_not_there_is_told(asr: Any, recordings: Recordings) -> None:
    done = asr("transcribe", *recordings("a.wav"), "--track", "2")
    assert done.returncode == 1
    assert "There is no track 2: the file has 1 audio track." in " ".join(done.stderr.split())


def test_what_the_model_does_not_heed_is_told_on_stderr(
    asr: Any, recordings: Recordings, redis_server: Any
) -> None:
    asyncio.run(serve_a_model_without_speakers(redis_server.settings()))
    (file,) = recordings("talk.wav")
    done = asr("transcribe", file, "--speakers", "--language", "en-US")
    assert (done.returncode, done.stdout) == (0, "the words of talk.wav\n")
    assert done.stderr.splitlines() == ["talk.wav: the model does not heed: speakers"]


def test_what_could_not_be_read_is_told_on_stderr(asr: Any, recordings: Recordings) -> None:
    done = asr("transcribe", *recordings("cut.wav"))
    assert (done.returncode, done.stdout) == (0, "the words of cut.wav\n")
    assert done.stderr.splitlines() == ["cut.wav: It ends too early."]


async def serve_a_model_without_speakers(settings: RedisSettings) -> None:
    connection = RedisConnection(settings)
    name = {"consumer": "gone-1", "worker": "gone", "pool": "default"}
    model = {"model": "small", "engine": "none", "device": "cpu", "version": "0"}
    record = WorkerRecord(
        **name, **model, slots=1, busy=0, in_flight_seconds=0, throughput=0, startup_seconds=0,
        tasks_done=0, started_at=0,
    )  # fmt: skip
    await beat(connection, record, ServedModel("small", frozenset({"language"}), frozenset()))
    await connection.close()


def test_the_client_can_be_used_from_code(api_url: str, recordings: Recordings) -> None:
    (file,) = recordings("talk.wav")
    assert transcribe_file(Path(file), api_url, language="en") == "the words of talk.wav\n"


def test_the_blocking_client_follows_a_task_from_submit_to_delete(
    api_url: str, recordings: Recordings
) -> None:
    (file,) = recordings("meeting.wav")
    seen: list[str] = []
    with BlockingClient(api_url) as client:
        task_id = client.submit(Path(file), SubmitOptions(lane="batch"), idempotency_key="once")
        assert client.submit(Path(file), SubmitOptions(lane="batch"), idempotency_key="once") == (
            task_id
        )
        done = client.wait(task_id, on_progress=lambda state, share: seen.append(state))
        assert (done["lane"], seen[-1]) == ("batch", "completed")
        assert client.transcript(task_id).text == "the words of meeting.wav"
        client.delete(task_id)
        with pytest.raises(ClientError, match="no task"):
            client.result(task_id)
        with pytest.raises(ClientError, match="not on the public internet"):
            client.submit_url("http://127.0.0.1/inward.wav")


def test_a_server_whose_certificate_is_not_trusted_is_said_after_one_try(certificates: Any) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.certificate, certificates.key)
    server = http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    serving = threading.Thread(target=server.serve_forever)
    serving.start()
    try:
        address = f"https://127.0.0.1:{server.server_port}"
        with BlockingClient(address) as client, pytest.raises(ServerUnreachable) as raised:
            client.result("some-task")
    finally:
        server.shutdown()
        serving.join()
        server.server_close()
    assert "certificate" in str(raised.value).lower()
    assert "given up after" not in str(raised.value)
