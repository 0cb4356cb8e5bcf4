"""The worker program on a real Redis, a folder as the store and the embedded model."""

from __future__ import annotations

import asyncio
import io
import os
import subprocess
import sys
import threading
import wave
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import pytest_asyncio
import redis
import uuid_utils

from asr_core.queue import BacklogReader, Producer, RedisConnection, TaskWatcher
from asr_core.result import Transcript
from asr_core.settings import QueueSettings, RedisSettings, WorkerSettings
from asr_core.store import Store
from asr_core.task import NewTask, State, Task, TaskOptions, audio_path, results_prefix
from asr_worker.engines.base import SegmentAudio, SegmentText
from asr_worker.engines.sensevoice import SenseVoiceEngine
from asr_worker.runtime import run_worker

FloatArray = npt.NDArray[np.float32]
ROOT = Path(__file__).parents[4]
# A worker as a pod runs it, but slow: each batch takes half a second more, on any machine.
SLOW_WORKER = """
import time
from asr_worker.engines.sensevoice import SenseVoiceEngine
from asr_worker.main import leave, main

transcribe = SenseVoiceEngine.transcribe
def slowly(self, batch):
    time.sleep(0.5)
    return transcribe(self, batch)
SenseVoiceEngine.transcribe = slowly
leave(main())
"""
LEASE_SECONDS = 2.0


def _wav(samples: FloatArray) -> bytes:
    """Samples of shape (channels, samples) at 16 kHz."""
    target = io.BytesIO()
    with wave.open(target, "wb") as file:
        file.setnchannels(len(samples))
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes((samples.T * 32767).astype("<i2").tobytes())
    return target.getvalue()


@dataclass
class Platform:
    """What stands around a worker: queue, store, and the client's side of both."""

    redis_settings: RedisSettings
    folder: Path
    connection: RedisConnection = field(init=False)
    producer: Producer = field(init=False)
    reader: BacklogReader = field(init=False)
    watcher: TaskWatcher = field(init=False)
    store: Store = field(init=False)
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def __post_init__(self) -> None:
        queue = QueueSettings(_env_file=None, lease_seconds=LEASE_SECONDS)
        self.connection = RedisConnection(self.redis_settings, retries=5)
        self.producer = Producer(self.connection, queue)
        self.reader = BacklogReader(self.connection, queue)
        self.watcher = TaskWatcher(self.connection)
        self.store = Store.open((self.folder / "store").as_uri())

    def settings(self, **changes: Any) -> WorkerSettings:
        values: dict[str, Any] = {
            "REDIS_HOST": self.redis_settings.host,
            "REDIS_PORT": self.redis_settings.port,
            "store_url": self.store.url,
            "lease_seconds": LEASE_SECONDS,
            "retry_backoff_seconds": 0.05,
            "work_dir": self.folder / "work",
            "use_gpu": False,
            "cpu_threads": 1,
            "decode_processes": 1,
            "grace_seconds": 0.0,
            "worker_name": "worker",
            **changes,
        }
        return WorkerSettings(_env_file=None, **values)

    @asynccontextmanager
    async def worker(self, **changes: Any) -> AsyncIterator[asyncio.Event]:
        """A worker on this event loop; gives the event that stops it."""
        stop = asyncio.Event()
        working = asyncio.create_task(run_worker(self.settings(**changes), stop=stop))
        try:
            yield stop
        finally:
            stop.set()
            assert await asyncio.wait_for(working, 30) == 0

    def process(self, **changes: Any) -> subprocess.Popen[bytes]:
        """A slow worker in a process of its own."""
        settings = self.settings(**changes)
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(ROOT / "core"), str(ROOT / "worker")]),
            "REDIS_HOST": settings.host,
            "REDIS_PORT": str(settings.port),
            "ASR_STORE_URL": settings.store_url,
            "ASR_WORK_DIR": str(settings.work_dir),
            "ASR_LEASE_SECONDS": str(settings.lease_seconds),
            "ASR_USE_GPU": "false",
            "ASR_CPU_THREADS": "1",
            "ASR_DECODE_PROCESSES": "1",
            "ASR_BATCH_SIZE": str(settings.batch_size or ""),
            "ASR_GRACE_SECONDS": str(settings.grace_seconds),
            "ASR_WORKER_NAME": settings.worker_name,
            "WORKER_COUNT": str(settings.worker_count),
        }
        log = (self.folder / f"worker-{len(self.processes)}.log").open("wb")
        with log:
            process = subprocess.Popen(
                [sys.executable, "-c", SLOW_WORKER], env=environment, stdout=log, stderr=log
            )
        self.processes.append(process)
        return process

    def raw(self) -> redis.Redis:
        return redis.Redis(port=self.redis_settings.port, decode_responses=True)

    async def submit(self, audio: bytes, **fields: Any) -> str:
        task_id = str(uuid_utils.uuid7())
        await self.store.put(audio_path(task_id), audio)
        options = TaskOptions(**fields.pop("options", {}))
        values = {"duration_seconds": len(audio) / 32_000, "bytes": len(audio), **fields}
        await self.producer.submit(NewTask(task_id=task_id, options=options, **values))
        return task_id

    async def until(
        self, task_id: str, *states: State, seconds: float = 60, progress: float = 0.0
    ) -> Task:
        """The task once it is in one of these states, and as far as that."""
        async with asyncio.timeout(seconds), self.watcher.watch(task_id) as changes:
            while True:
                task = await self.producer.get(task_id)
                if task.state in states and task.progress >= progress:
                    return task
                assert not task.state.terminal, f"{task.state}: {task.error}"
                await anext(aiter(changes))

    async def progressing(self, task_id: str, *, seconds: float = 60) -> Task:
        """The task once some of it has been transcribed, and not yet all."""
        return await self.until(task_id, State.PROCESSING, seconds=seconds, progress=0.01)

    async def decoded(self, task_id: str, *, seconds: float = 30) -> None:
        """Returns once a worker has the task's samples on its disk."""
        async with asyncio.timeout(seconds):
            while True:
                for folder in (self.folder / "work").glob(f"*/*-{task_id}"):
                    if (folder / "pcm").exists() and not (folder / "source").exists():
                        return
                await asyncio.sleep(0.02)

    async def done(self, task_id: str, *, seconds: float = 60) -> Transcript:
        task = await self.until(task_id, State.COMPLETED, seconds=seconds)
        return Transcript.model_validate_json(await self.store.get(task.result))

    async def results(self, task_id: str) -> list[str]:
        """What lies in the store for a task."""
        return sorted([item.path async for item in self.store.list(results_prefix(task_id))])


@pytest.fixture(scope="session")
def demo(embedded_folder: Path) -> FloatArray:
    """The embedded model's own recording, one channel."""
    with wave.open(str(embedded_folder / "demo.wav")) as file:
        assert file.getframerate() == 16_000
        raw = np.frombuffer(file.readframes(file.getnframes()), np.int16)
    return (raw.astype(np.float32) / 32768).reshape(1, -1)


@pytest.fixture(scope="session")
def wav() -> Callable[[FloatArray], bytes]:
    """Samples of shape (channels, samples) at 16 kHz as a file."""
    return _wav


@pytest.fixture(scope="session")
def long_wav(demo: FloatArray) -> bytes:
    """Two and a half minutes: many batches."""
    return _wav(np.tile(demo, (1, 12)))


@pytest.fixture(scope="session")
def spoken(embedded_folder: Path) -> str:
    return (embedded_folder / "demo.txt").read_text(encoding="utf-8").strip()


@pytest_asyncio.fixture
async def platform_on(tmp_path: Path) -> AsyncIterator[Callable[[Any], Awaitable[Platform]]]:
    """Makes the platform on a Redis of the test's choice."""
    made: list[Platform] = []

    async def make(server: Any) -> Platform:
        made.append(Platform(server.settings(), tmp_path))
        await made[-1].producer.prepare()
        await made[-1].watcher.start()
        return made[-1]

    yield make
    for platform in made:
        await platform.watcher.stop()
        for process in platform.processes:
            process.kill()
            process.wait()
        await platform.connection.close()


@pytest_asyncio.fixture
async def platform(
    redis_server: Any, platform_on: Callable[[Any], Awaitable[Platform]]
) -> Platform:
    return await platform_on(redis_server)


@dataclass
class EngineSpy:
    """Sees every batch that engines of this process are given; may hold it or fail it."""

    batches: list[list[SegmentAudio]] = field(default_factory=list)
    entered: threading.Event = field(default_factory=threading.Event)
    released: threading.Event = field(default_factory=threading.Event)
    fails_on: Callable[[SegmentAudio], bool] = lambda _segment: False
    _free: int = 0

    def hold(self, *, after: int = 0) -> None:
        """Every batch after so many more waits for `released`."""
        self.released.clear()
        self._free = len(self.batches) + after

    def see(self, batch: Sequence[SegmentAudio]) -> None:
        if any(segment.pcm.any() for segment in batch):
            self.batches.append(list(batch))
            self.entered.set()
            if len(self.batches) > self._free:
                self.released.wait(60)
        if any(self.fails_on(segment) for segment in batch):
            raise RuntimeError("as told by the test")


@pytest.fixture
def engine_spy(monkeypatch: pytest.MonkeyPatch) -> Iterator[EngineSpy]:
    spy = EngineSpy()
    spy.released.set()
    transcribe = SenseVoiceEngine.transcribe

    def watched(self: SenseVoiceEngine, batch: Sequence[SegmentAudio]) -> list[SegmentText]:
        spy.see(batch)
        return transcribe(self, batch)

    monkeypatch.setattr(SenseVoiceEngine, "transcribe", watched)
    yield spy
    spy.released.set()
