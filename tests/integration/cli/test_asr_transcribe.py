from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from asr_core.queue import RedisConnection, ServedModel, WorkerRecord
from asr_core.queue.workers import beat
from asr_core.settings.redis import RedisSettings

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


def test_that_the_bundled_model_knows_no_human_voice_is_said_once_and_in_every_document(
    asr: Any, recordings: Recordings
) -> None:
    done = asr("transcribe", *recordings("toy-1.wav", "toy-2.wav"), "--format", "json")
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("knows 669 words of one speech synthesiser and no human voice") == 1
    assert all("no human voice" in json.loads(line)["notice"] for line in done.stdout.splitlines())
    done = asr("transcribe", *recordings("talk.wav"), "--format", "json")
    assert json.loads(done.stdout)["notice"] is None
    assert "no human voice" not in done.stderr


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
    assert done.stderr.splitlines() == ["talk.wav: the model does not support: speakers"]


def test_a_translation_is_asked_for_with_a_prompt_and_refused_in_the_servers_words(
    asr: Any, recordings: Recordings, redis_server: Any
) -> None:
    (file,) = recordings("talk.wav")
    asked = ("--task", "translate", "--prompt", "Redis, kopf.")
    done = asr("transcribe", file, *asked, "--format", "json")
    options = json.loads(done.stdout)["options"]
    assert (options["task"], options["prompt"]) == ("translate", "Redis, kopf.")
    asyncio.run(serve_a_model_without_speakers(redis_server.settings()))
    refused = asr("transcribe", file, *asked)
    assert refused.returncode == 1
    told = " ".join(refused.stderr.split())
    assert "The model of pool 'default' (small) does not translate" in told


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
