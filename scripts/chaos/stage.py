"""The whole platform as a company runs it: Redis, a store, APIs and workers, each a real program.

Every API and worker speaks to Redis, and to an S3 store, through a proxy of its own.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
import time
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import redis.asyncio

from asr_cli.local.redis_server import find_server
from asr_core.errors import AsrError
from asr_core.queue import BacklogReader, RedisConnection
from asr_core.queue.permissions import least_user_options
from asr_core.settings.queue import QueueSettings
from asr_core.settings.redis import RedisSettings
from asr_core.store import Store
from chaos.clips import WORKER_MAX_SECONDS
from chaos.plan import StoreKind
from chaos.programs import Program
from chaos.proxy import FaultProxy

BUCKET = "recordings"
START_SECONDS = 120.0
S3_CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "chaos",
    "AWS_SECRET_ACCESS_KEY": "chaos",
    "AWS_REGION": "us-east-1",
    "AWS_ALLOW_HTTP": "true",
}
_OURS = ("ASR_", "REDIS_", "AWS_", "WORKER_COUNT", "MAX_RECORDINGS", "LOG_DIR")


@dataclass(frozen=True)
class Scene:
    """How large a platform, on what store, with which lease, in which folder."""

    store: StoreKind
    apis: int
    workers: int
    lease_seconds: float
    folder: Path


@dataclass(eq=False)
class Served:
    """An API or a worker with the proxies that it goes through; `store_proxy` only for S3.

    `fault`: the kind of the one that it is suffering from, if any.
    """

    program: Program
    redis_proxy: FaultProxy
    store_proxy: FaultProxy | None
    troubled_until: float = 0.0
    fault: str = ""


@dataclass(eq=False)
class Stage:
    """Async context manager: everything runs and answers inside. `connection` bypasses faults."""

    scene: Scene
    apis: list[Served] = field(default_factory=list)
    workers: list[Served] = field(default_factory=list)
    urls: list[str] = field(default_factory=list)
    redis_up_since: float = 0.0
    store_troubled_until: float = 0.0
    redis: Program = field(init=False)
    store_server: Program | None = None
    connection: RedisConnection = field(init=False)
    reader: BacklogReader = field(init=False)
    store: Store = field(init=False)
    redis_port: int = 0
    _store_port: int = 0
    _stack: AsyncExitStack = field(default_factory=AsyncExitStack)

    async def __aenter__(self) -> Stage:
        try:
            await self._start()
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        """Workers first, Redis last; nothing is left running."""
        await asyncio.gather(*(one.program.stop() for one in self.workers))
        await asyncio.gather(*(one.program.stop() for one in self.apis))
        await self._stack.aclose()

    async def _start(self) -> None:
        scene = self.scene
        for name in ("redis", "logs", "store", "run"):
            (scene.folder / name).mkdir(parents=True, exist_ok=True)
        self.redis_port, self._store_port = free_port(), free_port()
        self.redis = self._program("redis", self._redis_arguments(), {})
        await self._run(self.redis)
        settings = self.redis_settings(self.redis_port)
        self.connection = RedisConnection(settings, retries=1)
        self._stack.push_async_callback(self.connection.close)
        queue = QueueSettings(_env_file=None, lease_seconds=scene.lease_seconds)
        self.reader = BacklogReader(self.connection, queue)
        await self.redis_answers()
        if scene.store == "s3":
            await self._start_s3()
        self.store = Store.open(self.store_url)
        for number in range(1, scene.apis + 1):
            await self._start_api(number)
        for number in range(1, scene.workers + 1):
            await self._start_worker(number)
        await self.all_ready()

    @property
    def store_url(self) -> str:
        s3 = self.scene.store == "s3"
        return f"s3://{BUCKET}/chaos" if s3 else (self.scene.folder / "store").as_uri()

    @property
    def served(self) -> list[Served]:
        return [*self.apis, *self.workers]

    @property
    def programs(self) -> list[Program]:
        return [self.redis, *(one.program for one in self.served)]

    def redis_settings(self, port: int) -> RedisSettings:
        """Of whoever makes faults; the programs name no user, and have the least permissions."""
        return RedisSettings(_env_file=None, url=f"redis://admin:any@127.0.0.1:{port}/0")

    async def restart_redis(self, down_seconds: float) -> None:
        """SIGKILL; started again on its AOF after `down_seconds`. Returns when it answers."""
        self.redis_up_since = float("inf")
        self.redis.send(signal.SIGKILL, restart_after_seconds=down_seconds)
        await self.redis.ended()
        await self.redis_answers()

    async def redis_answers(self) -> None:
        async with asyncio.timeout(START_SECONDS):
            while True:
                with suppress(redis.exceptions.RedisError, OSError):
                    if await self.connection.client.ping():
                        break
                await asyncio.sleep(0.05)
        self.redis_up_since = time.time()

    async def all_ready(self) -> None:
        """Every API answers, every worker has told Redis about itself."""
        async with asyncio.timeout(START_SECONDS), httpx.AsyncClient() as client:
            for url in self.urls:
                while not await _answers(client, f"{url}/readyz"):
                    await asyncio.sleep(0.05)
            while len(await self.ready_workers()) < len(self.workers):
                await asyncio.sleep(0.05)

    async def ready_workers(self) -> set[str]:
        """Names of workers whose present process has begun to work."""
        born = {one.program.name: one.program.lives[-1] for one in self.workers}
        with suppress(AsrError):
            records = await self.reader.workers()
            return {
                record.worker
                for record in records
                if (life := born.get(record.worker))
                and life.ended_at is None
                and record.started_at > life.started_at
            }
        return set()

    async def _run(self, program: Program) -> None:
        self._stack.push_async_callback(program.stop)
        await program.start()

    def _program(self, name: str, arguments: tuple[str, ...], own: dict[str, str]) -> Program:
        folder = self.scene.folder
        kept = {k: v for k, v in os.environ.items() if not k.startswith(_OURS)}
        environment = {**kept, "PYTHONUNBUFFERED": "1", **own}
        run = folder / "run" / name
        run.mkdir(parents=True, exist_ok=True)
        return Program(name, arguments, environment, run, folder / "logs" / f"{name}.log")

    def _redis_arguments(self) -> tuple[str, ...]:
        return (
            str(find_server().path), "--port", str(self.redis_port), "--bind", "127.0.0.1",
            "--dir", str(self.scene.folder / "redis"), "--save", "", "--appendonly", "yes",
            "--appendfsync", "always", "--maxmemory-policy", "noeviction", *least_user_options(),
        )  # fmt: skip

    async def _start_s3(self) -> None:
        arguments = ("-m", "moto.server", "-H", "127.0.0.1", "-p", str(self._store_port))
        self.store_server = self._program("s3", (sys.executable, *arguments), {})
        await self._run(self.store_server)
        endpoint = f"http://127.0.0.1:{self._store_port}"
        os.environ.update(S3_CREDENTIALS, AWS_ENDPOINT_URL=endpoint)
        async with asyncio.timeout(START_SECONDS), httpx.AsyncClient() as client:
            while not await _answers(client, endpoint):
                await asyncio.sleep(0.1)
            (await client.put(f"{endpoint}/{BUCKET}")).raise_for_status()

    async def _shared(self) -> tuple[dict[str, str], FaultProxy, FaultProxy | None]:
        """Settings of one API or worker, with the proxies that they name."""
        lease = self.scene.lease_seconds
        redis_proxy = await self._stack.enter_async_context(FaultProxy(self.redis_port))
        own = {
            "ASR_REDIS_URL": f"redis://127.0.0.1:{redis_proxy.port}/0",
            "ASR_STORE_URL": self.store_url,
            "ASR_LEASE_SECONDS": f"{lease:g}",
            "REDIS_TIMEOUT_SECONDS": f"{min(5.0, max(1.0, lease / 2)):g}",
        }
        store_proxy = None
        if self.scene.store == "s3":
            store_proxy = await self._stack.enter_async_context(FaultProxy(self._store_port))
            own |= S3_CREDENTIALS
            own["AWS_ENDPOINT_URL"] = f"http://127.0.0.1:{store_proxy.port}"
        return own, redis_proxy, store_proxy

    async def _start_api(self, number: int) -> None:
        own, redis_proxy, store_proxy = await self._shared()
        port = free_port()
        own["ASR_SPOOL_DIR"] = str(self.scene.folder / "run" / f"spool-{number}")
        program = self._program(f"api-{number}", _asr("api", "--port", str(port)), own)
        self.apis.append(Served(program, redis_proxy, store_proxy))
        self.urls.append(f"http://127.0.0.1:{port}")
        await program.start()

    async def _start_worker(self, number: int) -> None:
        own, redis_proxy, store_proxy = await self._shared()
        name = f"worker-{number}"
        own |= {
            "WORKER_COUNT": "1",
            "ASR_WORKER_NAME": name,
            "ASR_USE_GPU": "false",
            "ASR_CPU_THREADS": "1",
            "ASR_DECODE_PROCESSES": "1",
            "ASR_MAX_DURATION_SECONDS": str(WORKER_MAX_SECONDS),
            "ASR_WORK_DIR": str(self.scene.folder / "run" / f"work-{number}"),
        }
        program = self._program(name, _asr("worker"), own)
        self.workers.append(Served(program, redis_proxy, store_proxy))
        await program.start()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _asr(*arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-m", "asr_cli", *arguments)


async def _answers(client: httpx.AsyncClient, url: str) -> bool:
    with suppress(httpx.HTTPError):
        return (await client.get(url)).status_code == 200
    return False
