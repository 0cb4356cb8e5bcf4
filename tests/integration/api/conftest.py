"""A real Redis, a store in a folder, and the app over HTTP."""

from __future__ import annotations

import asyncio
import contextlib
import io
import math
import socket
import struct
import threading
import time
import uuid
import wave
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import av
import httpx
import pytest
import pytest_asyncio
import uvicorn

from asr_api.app import create_app
from asr_api.server import server_config
from asr_api.settings.api import ApiSettings
from asr_core.queue import (
    Claim,
    Consumer,
    Finish,
    LeaseKeeper,
    Outcome,
    RedisConnection,
    WorkerRecord,
)
from asr_core.result import Transcript, TranscriptSegment
from asr_core.store import Store
from asr_core.task import result_path


@pytest.fixture
def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def own_redis(private_redis: Callable[..., Any]) -> Any:
    """A redis-server that one test may kill and start."""
    return private_redis()


@dataclass
class Platform:
    """The running app, and what a test needs to look behind it."""

    url: str
    settings: ApiSettings
    store: Store
    store_folder: Path
    spool_folder: Path
    app: Any
    connections: list[RedisConnection] = field(default_factory=list)

    def connect(self) -> RedisConnection:
        """A connection of the test's own, closed after the test."""
        connection = RedisConnection(self.settings)
        self.connections.append(connection)
        return connection

    def admin(self) -> Any:
        """A client of Redis that may do anything, closed after the test."""
        admin = {"username": "admin", "password": "any"}
        self.connections.append(RedisConnection(self.settings.model_copy(update=admin)))
        return self.connections[-1].client

    async def consumer(self, name: str = "worker-1") -> Consumer:
        consumer = Consumer(self.connect(), self.settings, pool="default", name=name)
        await consumer.prepare()
        return consumer

    async def complete(self, consumer: Consumer, claim: Claim, transcript: Transcript) -> Outcome:
        """What a worker does at the end: write the result, then make it visible."""
        path = result_path(claim.task.task_id, claim.task.attempt)
        await self.store.put(path, transcript.model_dump_json().encode())
        done = Finish(claim.task.task_id, claim.token, path, processing_seconds=0.5)
        (outcome,) = await consumer.finish([done])
        return outcome

    def stored(self) -> list[str]:
        """Everything that lies in the store."""
        files = (path for path in self.store_folder.rglob("*") if path.is_file())
        names = (str(path.relative_to(self.store_folder)) for path in files)
        return sorted(name for name in names if name.startswith(("audio/", "results/")))

    def spooled(self) -> list[Path]:
        """Every upload that lies in the spool."""
        return list(self.spool_folder.rglob("upload-*"))


@contextlib.contextmanager
def serve(settings: ApiSettings) -> Iterator[tuple[str, Any]]:
    """The app in uvicorn, in a thread; yields its URL and the app."""
    app = create_app(settings)
    config = server_config(app, settings, host="127.0.0.1", port=0, grace_seconds=3)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 60
    while not server.started:
        assert thread.is_alive(), "the app did not start"
        assert time.monotonic() < deadline, "the app did not start in time"
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}", app
    finally:
        server.should_exit = True
        thread.join(20)
        assert not thread.is_alive(), "the app did not stop"


StartPlatform = Callable[..., Platform]


@pytest_asyncio.fixture
async def start_platform(tmp_path: Path, redis_server: Any) -> AsyncIterator[StartPlatform]:
    """Starts an app with settings of the test's own; ends it after the test."""
    connections: list[RedisConnection] = []
    with contextlib.ExitStack() as stack:

        def start(*, redis_port: int = redis_server.port, **changes: Any) -> Platform:
            number = uuid.uuid4().hex[:8]
            values: dict[str, Any] = {
                "url": f"redis://127.0.0.1:{redis_port}/0",
                "key_prefix": f"test-{number}",
                "store_url": f"file://{tmp_path}/store-{number}",
                "spool_dir": tmp_path / f"spool-{number}",
                "timeout_seconds": 2.0,
                **changes,
            }
            settings = ApiSettings(_env_file=None, **values)
            url, app = stack.enter_context(serve(settings))
            return Platform(
                url=url,
                settings=settings,
                store=Store.open(settings.store_url),
                store_folder=tmp_path / f"store-{number}",
                spool_folder=tmp_path / f"spool-{number}",
                app=app,
                connections=connections,
            )

        yield start
        for connection in connections:
            await connection.close()


@pytest.fixture
def platform(start_platform: StartPlatform) -> Platform:
    """An app with default settings."""
    return start_platform()


@pytest_asyncio.fixture
async def client(platform: Platform) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=platform.url, timeout=30) as client:
        yield client


def wav_bytes(seconds: float = 1.0, *, rate_hz: int = 8000, channels: int = 1) -> bytes:
    """A 16-bit PCM WAV file with a tone."""
    count = int(seconds * rate_hz)
    tone = struct.pack(f"<{count}h", *(int(8000 * math.sin(i / 7)) for i in range(count)))
    frames = b"".join(tone[i : i + 2] * channels for i in range(0, len(tone), 2))
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(channels)
        out.setsampwidth(2)
        out.setframerate(rate_hz)
        out.writeframes(frames)
    return file.getvalue()


@pytest.fixture(scope="session")
def wav() -> bytes:
    """One second of a tone."""
    return wav_bytes()


@pytest.fixture
def transcript() -> Transcript:
    segment = TranscriptSegment(start_seconds=0.0, end_seconds=1.0, text="good morning")
    return Transcript(
        text="good morning",
        language="en",
        duration_seconds=1.0,
        segments=(segment,),
        model="embedded",
        engine="sensevoice",
        device="cpu",
    )


Submit = Callable[..., Awaitable[httpx.Response]]


@pytest.fixture
def submit(client: httpx.AsyncClient, wav: bytes) -> Submit:
    """Submits a recording; form fields and headers by name."""

    async def send(
        audio: bytes = wav,
        *,
        name: str = "tone.wav",
        field: str = "audio",
        headers: dict[str, str] | None = None,
        **form: Any,
    ) -> httpx.Response:
        return await client.post(
            "/api/v1/asr/submit", files={field: (name, audio)}, data=form, headers=headers
        )

    return send


async def claim_one(consumer: Consumer) -> Claim:
    """The next task, begun."""
    (claim,) = await consumer.claim(room_seconds=3600, room_tasks=1, in_flight=0)
    return claim


@pytest.fixture
def claim() -> Callable[[Consumer], Awaitable[Claim]]:
    return claim_one


@pytest.fixture
def make_wav() -> Callable[..., bytes]:
    """Makes other WAV files."""
    return wav_bytes


_ENCODINGS = {
    "flac": ("flac", "flac", 16_000),
    "mp3": ("mp3", "libmp3lame", 16_000),
    "ogg": ("ogg", "libopus", 48_000),
    "webm": ("webm", "libopus", 48_000),
    "matroska": ("matroska", "flac", 16_000),
    "m4a": ("mp4", "aac", 16_000),
    "aac": ("adts", "aac", 16_000),
}


def encode_tone(kind: str, *, seconds: float = 1.0, live: bool = False) -> bytes:
    """A tone in another container; `live` leaves out the duration, as a browser's recorder does."""
    container, codec, rate_hz = _ENCODINGS[kind]
    file = io.BytesIO()
    options = {"live": "1"} if live else {}
    source = av.open(io.BytesIO(wav_bytes(seconds, rate_hz=16_000)))
    with source, av.open(file, "w", format=container, options=options) as out:
        stream = out.add_stream(codec, rate=rate_hz, layout="mono")
        resampler = av.AudioResampler(
            format=stream.format, layout="mono", rate=rate_hz, frame_size=stream.frame_size or None
        )
        frames = [*source.decode(audio=0), None]
        for frame in frames:
            for part in resampler.resample(frame):
                out.mux(stream.encode(part))
        out.mux(stream.encode(None))
    return file.getvalue()


@pytest.fixture(scope="session")
def encode() -> Callable[..., bytes]:
    """Encodes a tone."""
    return encode_tone


@pytest.fixture
def worker_record() -> Callable[..., WorkerRecord]:
    """A worker's heartbeat."""

    def make(consumer: str, *, worker: str = "worker", busy: int = 0) -> WorkerRecord:
        return WorkerRecord(
            consumer=consumer,
            worker=worker,
            pool="default",
            slots=8,
            busy=busy,
            in_flight_seconds=0.0,
            throughput=0.0,
            startup_seconds=1.0,
            model="embedded",
            engine="sensevoice",
            device="cpu",
            version="0.1.0",
            tasks_done=0,
            started_at=1.0,
        )

    return make


@pytest.fixture
def renew_progress(platform: Platform) -> Callable[[Claim, float], Awaitable[None]]:
    """What a worker's lease keeper sends with a renewal."""

    async def renew(held: Claim, fraction: float) -> None:
        keeper = LeaseKeeper(
            platform.settings,
            platform.settings,
            consumer="worker-1",
            progress_deadline_seconds=60,
            on_lost=lambda *_: None,
        )
        keeper.hold(held.task.task_id, held.token)
        keeper.progress(held.task.task_id, held.token, fraction)
        assert await asyncio.to_thread(keeper.renew_once)

    return renew
