"""The real `openai` client on a running API and a running worker with the embedded model."""

from __future__ import annotations

import asyncio
import io
import time
import wave
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import openai
import pytest
import pytest_asyncio
import redis

from asr_core.queue import Claim, Consumer, Producer
from asr_core.result import Transcript
from asr_core.task import State, Task

ROOT = Path(__file__).parents[5]
EMBEDDED = ROOT / "worker" / "asr_worker" / "embedded"
# Short, so that a test sees a caller counted as gone; long enough for a loaded machine.
DESERTED_SECONDS = 3.0
GRACE_SECONDS = 1.5


def wav_of(times: int) -> bytes:
    """The embedded model's own recording, twelve seconds, so many times over."""
    with wave.open(str(EMBEDDED / "demo.wav")) as file:
        parameters, frames = file.getparams(), file.readframes(file.getnframes())
    return _wav(parameters, frames * times)


def _wav(parameters: Any, frames: bytes) -> bytes:
    target = io.BytesIO()
    with wave.open(target, "wb") as out:
        out.setparams(parameters)
        out.writeframes(frames)
    return target.getvalue()


@dataclass
class Service:
    """A running API with a worker, and what stands behind them."""

    programs: Any
    api: Any
    redis_port: int

    @property
    def base_url(self) -> str:
        return f"{self.api.url}/v1"

    def client(self, **options: Any) -> openai.OpenAI:
        return openai.OpenAI(
            **{"base_url": self.base_url, "api_key": "none", "max_retries": 0, **options}
        )

    def raw(self) -> redis.Redis:
        return redis.Redis(port=self.redis_port, username="admin", decode_responses=True)

    def wait_for_worker(self, served: str = "embedded") -> None:
        self.api.wait_until_ready()
        give_up_at = time.monotonic() + 60
        with self.client() as client:
            while served not in [model.id for model in client.models.list()]:
                assert time.monotonic() < give_up_at, "the worker did not start"
                time.sleep(0.1)

    def task_ids(self) -> list[str]:
        """All tasks there are, newest first."""
        with self.raw() as raw:
            return list(raw.zrevrangebylex("asr:history:default", "+", "-"))

    def task(self, task_id: str) -> dict[str, str]:
        with self.raw() as raw:
            return dict(raw.hgetall(f"asr:task:{task_id}"))

    async def until(self, condition: Callable[[], Any], *, seconds: float = 30) -> Any:
        """What `condition` says once it is true."""
        give_up_at = time.monotonic() + seconds
        while not (found := condition()):
            assert time.monotonic() < give_up_at, "not within the time"
            await asyncio.sleep(0.05)
        return found


@pytest.fixture(scope="module")
def start_service(
    make_programs: Any, _shared_redis: Any, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[..., Service]]:
    """Starts an API; a worker is started with `programs.worker()`."""
    started = []

    def start(**settings: object) -> Service:
        with _shared_redis.client() as client:
            client.flushall()
        programs = make_programs(tmp_path_factory.mktemp("openai"), _shared_redis.port)
        started.append(programs)
        programs.settings = {"ASR_DESERTED_SECONDS": DESERTED_SECONDS, **settings}
        return Service(programs, programs.api(), _shared_redis.port)

    yield start
    for programs in started:
        programs.end()


@pytest.fixture(scope="module")
def service(start_service: Callable[..., Service]) -> Service:
    """With a worker that hears one short segment after the other, a third of a second each."""
    service = start_service()
    service.programs.worker(ASR_SEGMENT_MAX_SECONDS=6, ASR_BATCH_SIZE=6)
    service.wait_for_worker()
    return service


@pytest.fixture
def client(service: Service) -> Iterator[openai.OpenAI]:
    with service.client() as client:
        yield client


@pytest.fixture(scope="module")
def strict_client(service: Service) -> Iterator[openai.OpenAI]:
    """Of another API before the same workers, that refuses what they do not heed."""
    strict = service.programs.api(ASR_OPENAI_STRICT="true")
    strict.wait_until_ready()
    with service.client(base_url=f"{strict.url}/v1") as client:
        yield client


@pytest_asyncio.fixture
async def async_client(service: Service) -> AsyncIterator[openai.AsyncOpenAI]:
    options = {"base_url": service.base_url, "api_key": "none", "max_retries": 0}
    async with openai.AsyncOpenAI(**options) as client:
        yield client


@pytest.fixture(scope="session")
def demo() -> bytes:
    return wav_of(1)


@pytest.fixture(scope="session")
def wav_times() -> Callable[[int], bytes]:
    """Longer recordings of the same words."""
    return wav_of


@pytest.fixture(scope="session")
def spoken() -> str:
    return (EMBEDDED / "demo.txt").read_text(encoding="utf-8").strip()


@pytest.fixture(scope="session")
def wav_of_silence() -> bytes:
    with wave.open(str(EMBEDDED / "demo.wav")) as file:
        return _wav(file.getparams(), bytes(64_000))


class Desk:
    """One API without workers; the test does their work."""

    grace_seconds = GRACE_SECONDS

    def __init__(self, platform: Any, wav: bytes) -> None:
        self.platform = platform
        self.wav = wav
        self.producer = Producer(platform.connect(), platform.settings)
        self.options = {"base_url": f"{platform.url}/v1", "api_key": "none", "max_retries": 0}
        self.client = openai.AsyncOpenAI(**self.options, timeout=20)
        self.calls: list[asyncio.Task[Any]] = []

    def call(self, *, translate: bool = False, **options: Any) -> asyncio.Task[Any]:
        """A request under way."""
        values = {"model": "default", "file": ("tone.wav", self.wav), **options}
        audio = self.client.audio
        endpoint: Any = audio.translations if translate else audio.transcriptions
        call = asyncio.create_task(endpoint.create(**values))
        self.calls.append(call)
        return call

    async def hang_up(self, call: asyncio.Task[Any]) -> None:
        """The caller closes its connection."""
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)

    async def tasks(self) -> list[Task]:
        return (await self.producer.history(tenant="default")).tasks

    async def callers(self) -> int:
        """How many wait for the newest task, or are expected to come again."""
        (task, *_) = await self.tasks()
        connection = self.platform.connect()
        key = f"{connection.keys.root}asr:callers:{task.task_id}"
        return int(await connection.client.zcard(key))

    async def until_waiting(self, callers: int = 1, *, tasks: int = 1) -> Task:
        """The newest task, once so many callers wait for it."""
        give_up_at = time.monotonic() + 20
        while True:
            found = await self.tasks()
            if len(found) >= tasks and await self.callers() >= callers:
                return found[0]
            assert time.monotonic() < give_up_at, "nobody waits"
            await asyncio.sleep(0.02)

    async def stays(self, task_id: str, state: State, *, seconds: float) -> None:
        """For what must not happen there is no event: it is looked for all the time."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            assert (await self.producer.get(task_id)).state is state
            await asyncio.sleep(0.05)

    async def until_state(self, task_id: str, state: State, *, seconds: float = 20) -> None:
        give_up_at = time.monotonic() + seconds
        while (await self.producer.get(task_id)).state is not state:
            assert time.monotonic() < give_up_at, f"not {state} within {seconds} s"
            await asyncio.sleep(0.05)


@pytest_asyncio.fixture
async def open_desk(
    start_platform: Callable[..., Any], wav: bytes
) -> AsyncIterator[Callable[..., Desk]]:
    """Makes one with settings of the test's own."""
    desks: list[Desk] = []

    def make(**settings: Any) -> Desk:
        platform = start_platform(**{"deserted_seconds": GRACE_SECONDS, **settings})
        desks.append(Desk(platform, wav))
        return desks[-1]

    yield make
    for desk in desks:
        for call in desk.calls:
            call.cancel()
        await asyncio.gather(*desk.calls, return_exceptions=True)
        await desk.client.close()


@pytest_asyncio.fixture
async def desk(open_desk: Callable[..., Desk]) -> Desk:
    return open_desk()


@pytest.fixture
def work(
    desk: Desk, claim: Callable[[Consumer], Awaitable[Claim]], transcript: Transcript
) -> Callable[[], Awaitable[str]]:
    """Completes the next task; returns its id."""

    async def complete() -> str:
        consumer = await desk.platform.consumer()
        claimed = await claim(consumer)
        await desk.platform.complete(consumer, claimed, transcript)
        return claimed.task.task_id

    return complete
