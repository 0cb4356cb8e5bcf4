"""The worker program on a real Redis, a folder as the store and the embedded model."""

from __future__ import annotations

import asyncio
import io
import json
import os
import subprocess
import sys
import threading
import time
import wave
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import pytest_asyncio
import redis
import uuid_utils
from pydantic import AliasChoices

from asr_core.lifecycle.orphan_sweep import Sweep
from asr_core.options import TaskOptions
from asr_core.queue import BacklogReader, Producer, RedisConnection, TaskWatcher
from asr_core.queue.orphan_index import OrphanIndex
from asr_core.result import Transcript
from asr_core.settings.queue import QueueSettings
from asr_core.settings.redis import RedisSettings
from asr_core.store import Store
from asr_core.task import NewTask, State, Task, audio_path, results_prefix
from asr_worker.engines.base import PendingTexts, SegmentAudio
from asr_worker.engines.sensevoice import SenseVoiceEngine
from asr_worker.process.runtime import run_worker
from asr_worker.settings import WorkerSettings

FloatArray = npt.NDArray[np.float32]
ROOT = Path(__file__).parents[4]
# A worker as a pod runs it, but slow: each batch takes half a second more, on any machine.
SLOW_WORKER = """
import time
from asr_worker.engines.sensevoice import SenseVoiceEngine
from asr_worker.process.main import leave, main

submit = SenseVoiceEngine.submit
def slowly(self, batch):
    time.sleep(0.5)
    return submit(self, batch)
SenseVoiceEngine.submit = slowly
leave(main())
"""
TOY_WORKER = Path(__file__).with_name("toy_worker.py")
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


def _environment(settings: WorkerSettings) -> dict[str, str]:
    """Every setting as a program reads it."""
    told = {}
    for name, field_info in WorkerSettings.model_fields.items():
        alias = field_info.validation_alias
        key = alias.choices[0] if isinstance(alias, AliasChoices) else alias
        value = getattr(settings, name)
        text = ",".join(value) if isinstance(value, tuple) else value
        if value is not None:
            told[str(key or f"ASR_{name.upper()}")] = str(text)
    return told


class Process(subprocess.Popen[bytes]):
    """A program with its log."""

    log: Path

    def children(self) -> list[int]:
        """Ids of the processes that it started and that are alive."""
        found: list[int] = []
        for path in Path(f"/proc/{self.pid}/task").glob("*/children"):
            with suppress(OSError):  # the thread has ended since it was listed
                found += map(int, path.read_text().split())
        return found

    async def said(self, text: str, *, times: int = 1, seconds: float = 30) -> str:
        """Its log, once it holds a text so many times."""
        async with asyncio.timeout(seconds):
            while (log := self.log.read_text()).count(text) < times:
                await asyncio.sleep(0.02)
            return log

    async def ended(self, *, seconds: float = 30) -> int:
        """Its exit status."""
        return await asyncio.to_thread(self.wait, seconds)


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
    processes: list[Process] = field(default_factory=list)

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

    def process(self, *program: str, toy: Mapping[str, str] = {}, **changes: Any) -> Process:
        """A worker in a process of its own: a slow one, unless another program is named."""
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(ROOT / "core"), str(ROOT / "worker")]),
            **_environment(self.settings(**changes)),
            **toy,
        }
        log = self.folder / f"worker-{len(self.processes)}.log"
        with log.open("wb") as file:
            process = Process(
                [sys.executable, *(program or ("-c", SLOW_WORKER))],
                env=environment,
                stdout=file,
                stderr=file,
            )
        process.log = log
        self.processes.append(process)
        return process

    def toy(
        self,
        *,
        faults: Mapping[str, str] = {},
        gate: Path | None = None,
        clock: float = 0.0,
        batch_seconds: float = 0.0,
        **changes: Any,
    ) -> Process:
        """A worker with an engine that hears nothing but levels, and does wrong as told."""
        toy = {
            "TOY_FAULTS": json.dumps(faults),
            "TOY_GATE": str(gate or self.folder / "gate"),
            "TOY_CLOCK": str(clock),
            "TOY_SECONDS": str(batch_seconds),
        }
        # Its recordings are tones, which no other detector takes for speech.
        return self.process(str(TOY_WORKER), toy=toy, **{"vad": "energy", **changes})

    def raw(self) -> redis.Redis:
        return redis.Redis(port=self.redis_settings.port, username="admin", decode_responses=True)

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

    async def stays(self, holds: Callable[[], Awaitable[bool]], *, seconds: float) -> None:
        """For what must not happen there is no event: it is looked for all the time."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            assert await holds()
            await asyncio.sleep(0.02)

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

    async def swept_results(self, task_id: str) -> list[str]:
        """The same after a sweep: a worker that lost a task in mid-write may leave an orphan."""
        sweep = Sweep(OrphanIndex(self.connection), self.store)
        await sweep.mark(adopt=True)
        await sweep.run(min_age_seconds=0.0)
        return await self.results(task_id)


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
def level() -> Callable[..., bytes]:
    """A recording of one loudness, 0.1 to 0.9: all that a toy engine hears."""

    def make(loudness: float, seconds: float = 1.0) -> bytes:
        return _wav(np.full((1, round(seconds * 16_000)), loudness, np.float32))

    return make


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
    submit = SenseVoiceEngine.submit

    def watched(self: SenseVoiceEngine, batch: Sequence[SegmentAudio]) -> PendingTexts:
        spy.see(batch)
        return submit(self, batch)

    monkeypatch.setattr(SenseVoiceEngine, "submit", watched)
    yield spy
    spy.released.set()
