"""`asr` as a person runs it: real processes, Redis and API, and a stand-in for the worker."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import pytest

from asr_cli.local.ports import free_port
from asr_core.errors import PermanentTaskError
from asr_core.queue import Claim, Consumer, Failure, Finish, RedisConnection
from asr_core.result import Transcript, TranscriptSegment, TranscriptWarning
from asr_core.settings.queue import QueueSettings
from asr_core.settings.redis import RedisSettings
from asr_core.store import Store
from asr_core.task import result_path


@dataclass
class Asr:
    """Runs `asr` with an environment of its own, in which no model is ever downloaded."""

    folder: Path
    environment: dict[str, str] = field(default_factory=lambda: {"ASR_MODEL": "embedded"})
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    def start(
        self, *arguments: str, output: IO[str] | int = subprocess.PIPE, **environment: str
    ) -> subprocess.Popen[str]:
        """Starts it; what writes much and is not read needs a file as its `output`."""
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("ASR_", "REDIS_"))}
        process = subprocess.Popen(
            [sys.executable, "-m", "asr_cli", *arguments],
            cwd=self.folder,
            env={**inherited, "COLUMNS": "200", **self.environment, **environment},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            text=True,
            start_new_session=True,
        )
        self.started.append(process)
        return process

    def __call__(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        process = self.start(*arguments, **environment)
        out, err = process.communicate(timeout=240)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def end(self) -> None:
        for process in self.started:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                try:
                    process.communicate(timeout=60)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.communicate()


@pytest.fixture
def asr(tmp_path: Path) -> Iterator[Asr]:
    """The command, in an empty folder."""
    runner = Asr(tmp_path)
    yield runner
    runner.end()


@pytest.fixture
def api_url(asr: Asr, redis_server: Any, tmp_path: Path) -> str:
    """A running `asr api`; `asr` is pointed at its Redis."""
    port = free_port("127.0.0.1", 0)
    asr.environment |= {
        "REDIS_PORT": str(redis_server.port),
        "ASR_STORE_URL": (tmp_path / "store").as_uri(),
        "ASR_SERVER": f"http://127.0.0.1:{port}",
        "ASR_QUEUE_CAP": "3",
    }
    log = tmp_path / "api.log"
    with log.open("w") as file:
        process = asr.start("api", "--port", str(port), "--grace", "1", output=file)
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text()
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/health", timeout=5):
                return f"http://127.0.0.1:{port}"
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise AssertionError("the API did not answer")


class StandInWorker(threading.Thread):
    """Claims and finishes as a worker does; the transcript names the file. `bad.wav` fails, and the
    bundled model is said to have written what begins with `toy`.
    """

    def __init__(self, redis: RedisSettings, store_url: str) -> None:
        super().__init__()
        self._redis = redis
        self._store = Store.open(store_url)
        self._ended = threading.Event()

    def run(self) -> None:
        asyncio.run(self._work())

    def end(self) -> None:
        self._ended.set()
        self.join()

    async def _work(self) -> None:
        connection = RedisConnection(self._redis)
        consumer = Consumer(connection, QueueSettings(), pool="default", name="stand-in-1")
        await consumer.prepare()
        async with consumer.wake() as woken:
            while not self._ended.is_set():
                claims = await consumer.claim(room_seconds=1e6, room_tasks=10, in_flight=0)
                for claim in claims:
                    await self._answer(consumer, claim)
                if not claims:
                    woken.clear()
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(woken.wait(), 0.1)
        await connection.close()

    async def _answer(self, consumer: Consumer, claim: Claim) -> None:
        task = claim.task
        if task.filename == "bad.wav":
            error = PermanentTaskError.code
            await consumer.fail([Failure(task.task_id, claim.token, error, "no speech", True)])
            return
        text = f"the words of {task.filename}"
        segment = TranscriptSegment(start_seconds=0.0, end_seconds=0.5, text=text)
        lost = TranscriptWarning(code="cut_off", message="It ends too early.", start_seconds=0.5)
        transcript = Transcript(
            text=text,
            warnings=(lost,) if task.filename == "cut.wav" else (),
            language="en",
            duration_seconds=0.5,
            segments=(segment,),
            model="embedded" if task.filename.startswith("toy") else "stand-in",
            engine="none",
            device="cpu",
        )
        path = result_path(task.task_id, task.attempt)
        await self._store.put(path, transcript.model_dump_json().encode())
        await consumer.finish([Finish(task.task_id, claim.token, path, 0.1)])


@pytest.fixture
def stand_in_worker(api_url: str, asr: Asr, redis_server: Any) -> Iterator[StandInWorker]:
    """Somebody who does the work."""
    worker = StandInWorker(redis_server.settings(), asr.environment["ASR_STORE_URL"])
    worker.start()
    yield worker
    worker.end()


@pytest.fixture
def recordings(tmp_path: Path) -> Callable[..., list[str]]:
    """Makes recordings, each with other bytes."""
    import wave

    def make(*names: str) -> list[str]:
        paths = []
        for number, name in enumerate(names, start=1):
            path = tmp_path / "recordings" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            with wave.open(str(path), "wb") as file:
                file.setparams((1, 2, 8000, 0, "NONE", ""))
                file.writeframes(number.to_bytes(2, "little") * 4000)
            paths.append(str(path))
        return paths

    return make
