"""A worker whose model is on a server: the queue's promises hold whatever the server does."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import httpx
import numpy as np
import pytest

from asr_core.task import Lane, State
from asr_worker.metrics import WorkerMetrics
from asr_worker.process import composition, heartbeat

pytestmark = pytest.mark.asyncio
ROOMS = ("core", "api", "worker", "client")


@pytest.fixture
def remote_settings(model_server: Any) -> dict[str, Any]:
    # Its recordings are tones, which no other detector takes for speech.
    return {
        "engine": "remote",
        "remote_url": model_server.url,
        "remote_timeout_seconds": 10,
        "vad": "energy",
    }


def with_status(status: int) -> Callable[[Any, Any], None]:
    return lambda _asked, handler: handler.reply(b"no", status)


async def test_many_recordings_are_there_at_once_whatever_their_lengths(
    platform: Any, level: Any, model_server: Any, remote_settings: Any
) -> None:
    """They differ in length, so that no two would share a batch of a model in the worker."""
    together = threading.Barrier(6)

    def meet(asked: Any, handler: Any) -> None:
        together.wait(60)
        model_server._default(asked, handler)

    model_server.on[0.8] = meet
    task_ids = [await platform.submit(level(0.8, seconds=2.0**n / 10)) for n in range(6)]
    async with platform.worker(remote_concurrency=6, **remote_settings):
        results = [await platform.done(task_id) for task_id in task_ids]
        (record,) = await platform.reader.workers()
    assert {result.text for result in results} == {"level 0.8"}
    assert {(r.model, r.engine, r.device) for r in results} == {("listener", "remote", "remote")}
    assert results[0].segments[0].words[0].text == "level"
    assert (record.model, record.engine) == ("listener", "remote")


async def test_a_long_recording_is_cut_sent_at_once_and_put_together_in_its_order(
    platform: Any, demo: Any, wav: Any, model_server: Any, remote_settings: Any
) -> None:
    """Replies come in the opposite order."""
    parts = [np.full((1, 16_000 * 5), n / 10, np.float32) for n in range(1, 7)]
    silence = np.zeros((1, 16_000), np.float32)
    sound = np.concatenate([each for part in parts for each in (part, silence)], axis=1)
    seen = {n / 10: threading.Event() for n in range(1, 8)}
    seen[0.7].set()

    def wait_for_the_next(asked: Any, handler: Any) -> None:
        seen[round(asked.level + 0.1, 1)].wait(60)
        model_server._default(asked, handler)
        seen[asked.level].set()

    model_server.on |= {n / 10: wait_for_the_next for n in range(1, 7)}
    async with platform.worker(segment_max_seconds=6, remote_concurrency=12, **remote_settings):
        result = await platform.done(await platform.submit(wav(sound)))
    texts = [segment.text for segment in result.segments]
    assert texts == sorted(texts)
    assert set(texts) == {f"level {n / 10}" for n in range(1, 7)}


async def test_a_recording_that_the_server_refuses_fails_at_once_and_no_other_does(
    platform: Any, level: Any, model_server: Any, remote_settings: Any
) -> None:
    model_server.on[0.4] = with_status(422)
    poison = await platform.submit(level(0.4))
    mates = [await platform.submit(level(0.8)) for _ in range(4)]
    async with platform.worker(**remote_settings):
        task = await platform.until(poison, State.FAILED)
        for task_id in mates:
            await platform.done(task_id)
    assert (task.error.code, task.attempt) == ("model_server_refused", 1)
    assert {(await platform.producer.get(task_id)).attempt for task_id in mates} == {1}


async def test_a_recording_that_breaks_the_server_is_tried_again_and_given_up(
    platform: Any, level: Any, model_server: Any, remote_settings: Any
) -> None:
    model_server.on[0.4] = with_status(500)
    poison = await platform.submit(level(0.4))
    mate = await platform.submit(level(0.8))
    async with platform.worker(retry_limit=1, **remote_settings):
        task = await platform.until(poison, State.FAILED)
        assert (await platform.done(mate)).text == "level 0.8"
    assert task.error.code == "engine_failed"
    assert task.attempt == 2


@pytest.mark.usefixtures("impatient")
async def test_no_attempt_is_spent_while_the_server_is_away_and_the_worker_says_why_it_waits(
    platform: Any,
    level: Any,
    model_server: Any,
    remote_settings: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(heartbeat, "BEAT_SECONDS", 0.1)
    task_ids = []
    async with platform.worker(retry_limit=0, **remote_settings):
        assert await platform.done(await platform.submit(level(0.9)))
        model_server.stop()
        task_ids = [await platform.submit(level(0.8)) for _ in range(3)]
        async with asyncio.timeout(60):
            while not (
                (await platform.reader.read()).waiting == 3
                and "no connection" in str((await platform.reader.workers())[0].problem)
            ):
                await asyncio.sleep(0.05)
            model_server.start()
            for task_id in task_ids:
                assert (await platform.done(task_id)).text == "level 0.8"
    tasks = [await platform.producer.get(task_id) for task_id in task_ids]
    assert {task.transient_failures for task in tasks} == {0}


async def test_an_interactive_recording_does_not_wait_behind_a_long_one(
    platform: Any, demo: Any, wav: Any, level: Any, model_server: Any, remote_settings: Any
) -> None:
    """The long one's segments hold every place; each that is let go makes room for one."""
    places, entered = threading.Semaphore(0), threading.Event()

    def hold_a_place(asked: Any, handler: Any) -> None:
        entered.set()
        places.acquire(timeout=60)
        model_server._default(asked, handler)

    model_server.on[0.5] = hold_a_place
    long = await platform.submit(wav(np.full((1, 16_000 * 60), 0.5, np.float32)))
    async with platform.worker(segment_max_seconds=5, remote_concurrency=2, **remote_settings):
        assert await asyncio.to_thread(entered.wait, 60)
        short = await platform.submit(level(0.9), lane=Lane.INTERACTIVE)
        await platform.decoded(short)
        async with asyncio.timeout(60):
            while not model_server.transcribed(0.9):
                before = len(model_server.asked)
                places.release()
                while len(model_server.asked) == before:
                    await asyncio.sleep(0.01)
        assert (await platform.done(short)).text == "level 0.9"
        assert len(model_server.transcribed(0.5)) < 12
        places.release(20)
        await platform.done(long)


async def test_speakers_are_told_apart_on_the_workers_own_machine(
    platform: Any, two_voices: Any, wav: Any, model_server: Any, remote_settings: Any
) -> None:
    both = np.concatenate([two_voices.first, two_voices.second])[None]
    task_id = await platform.submit(wav(both), options={"speakers": True})
    async with platform.worker(speaker_model=str(two_voices.folder), **remote_settings):
        result = await platform.done(task_id)
    assert {segment.speaker for segment in result.segments} <= {"A", "B"}
    assert result.options_ignored == ()
    assert result.engine == "remote"


async def test_requests_are_counted_by_their_outcome_and_timed(
    platform: Any,
    level: Any,
    model_server: Any,
    remote_settings: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kept: list[WorkerMetrics] = []
    init = composition.WorkerProgram.__init__

    def keeping(self: Any, *arguments: Any) -> None:
        kept.append(arguments[-1])
        init(self, *arguments)

    monkeypatch.setattr(composition.WorkerProgram, "__init__", keeping)
    left = [503]

    def once(asked: Any, handler: Any) -> None:
        if left:
            handler.reply(b"no", left.pop())
        else:
            model_server._default(asked, handler)

    model_server.on[0.8] = once
    async with platform.worker(**remote_settings):
        await platform.done(await platform.submit(level(0.8)))
    value = kept[0].registry.get_sample_value
    assert value("asr_model_server_requests_total", {"outcome": "503"}) == 1
    assert value("asr_model_server_requests_total", {"outcome": "200"}) >= 1
    assert value("asr_model_server_request_seconds_count") >= 2
    assert value("asr_model_server_requests_in_flight") == 0


async def test_this_products_own_api_is_such_a_server(
    platform: Any, demo: Any, wav: Any, spoken: str, free_port: Any
) -> None:
    """A worker of pool `far` sends what it has to the API, which pool `default` serves."""
    port = free_port()
    api = _start_api(platform, port)
    near = platform.process("-m", "asr_worker")
    try:
        async with asyncio.timeout(120):
            while not (await platform.reader.workers("default") and _is_ready(port)):
                assert api.poll() is None
                await asyncio.sleep(0.1)
        settings = {
            "pool": "far", "engine": "auto", "remote_url": f"http://127.0.0.1:{port}",
            "remote_model": "default", "remote_api_key": KEY, "remote_timeout_seconds": 60,
        }  # fmt: skip
        async with platform.worker(**settings):
            result = await platform.done(await platform.submit(wav(demo), pool="far"), seconds=120)
    finally:
        for process in (api, near):
            process.terminate()
            process.wait(30)
    assert result.text == spoken
    assert (result.engine, result.model, result.language) == ("remote", "default", "en")
    assert [word.text for word in result.segments[0].words][:2] == ["good", "morning"]


KEY = "asr_" + "k" * 43


def _start_api(platform: Any, port: int) -> subprocess.Popen[bytes]:
    environment = {
        **os.environ,
        "ASR_REDIS_URL": f"redis://127.0.0.1:{platform.redis_settings.port}/0",
        "ASR_STORE_URL": platform.store.url,
        "ASR_SPOOL_DIR": str(platform.folder / "spool"),
        "ASR_POOLS": "default,far",
        "ASR_BOOTSTRAP_KEY": KEY,
    }
    command = ("-m", "uvicorn", "--factory", "asr_api.app:create_app", "--port", str(port))
    with (platform.folder / "api.log").open("wb") as log:
        return subprocess.Popen(
            [sys.executable, *command],
            env=environment, cwd=platform.folder, stdout=log, stderr=log,
        )  # fmt: skip


def _is_ready(port: int) -> bool:
    with suppress(httpx.TransportError):
        return httpx.get(f"http://127.0.0.1:{port}/readyz").status_code == 200
    return False
