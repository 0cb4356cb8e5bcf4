"""A queue on a real Redis, with small numbers so that leases run out within a test."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest_asyncio
import redis
import uuid_utils

from asr_core.queue import (
    Backlog,
    BacklogReader,
    Claim,
    Consumer,
    Finish,
    Outcome,
    Producer,
    RedisConnection,
    Submission,
    TaskWatcher,
    Upkeep,
    WorkerRecord,
)
from asr_core.settings import QueueSettings, RedisSettings
from asr_core.task import NewTask

LEASE_SECONDS = 0.4


@dataclass
class Queue:
    """Everything a test of the queue needs, on one Redis."""

    redis_settings: RedisSettings
    settings: QueueSettings
    connection: RedisConnection = field(init=False)
    producer: Producer = field(init=False)
    reader: BacklogReader = field(init=False)
    upkeep: Upkeep = field(init=False)
    raw: redis.Redis = field(init=False)
    _connections: list[RedisConnection] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.connection = self.connect()
        self.producer = Producer(self.connection, self.settings)
        self.reader = BacklogReader(self.connection, self.settings)
        self.upkeep = Upkeep(self.connection, self.settings)
        self.raw = redis.Redis(port=self.redis_settings.port, decode_responses=True)

    def connect(self) -> RedisConnection:
        self._connections.append(RedisConnection(self.redis_settings))
        return self._connections[-1]

    async def consumer(self, name: str = "worker-1", pool: str = "default") -> Consumer:
        """A live worker: prepared, and with a record."""
        consumer = Consumer(self.connect(), self.settings, pool=pool, name=name)
        await consumer.prepare()
        await consumer.beat(record(consumer))
        return consumer

    async def submit(self, count: int = 1, **fields: Any) -> list[str]:
        return [(await self.submit_one(**fields)).task_id for _ in range(count)]

    async def submit_one(self, **fields: Any) -> Submission:
        return await self.producer.submit(new_task(**fields))

    async def claim(
        self, consumer: Consumer, tasks: int = 1000, *, seconds: float = 1e6, in_hand: int = 0
    ) -> list[Claim]:
        return await consumer.claim(room_seconds=seconds, room_tasks=tasks, in_hand=in_hand)

    async def reap(self, consumer: Consumer, tasks: int = 1000, *, in_hand: int = 0) -> list[Claim]:
        return await consumer.reap(room_seconds=1e6, room_tasks=tasks, in_hand=in_hand)

    async def finish(self, consumer: Consumer, *claims: Claim) -> list[Outcome]:
        return await consumer.finish(
            [
                Finish(
                    c.task.task_id, c.token, f"results/{c.task.task_id}/{c.task.attempt}.json", 0.1
                )
                for c in claims
            ]
        )

    async def crash(self, consumer: Consumer, *, in_hand: int = 0) -> list[Claim]:
        """The holder of every lease is gone: another worker reaps once the leases have run out."""
        await self.trusted()
        await asyncio.sleep(self.settings.lease_seconds + 0.02)
        return await self.reap(consumer, in_hand=in_hand)

    async def backlog(self) -> Backlog:
        return await self.reader.read()

    async def trusted(self) -> None:
        """Waits until one lease has passed since this Redis was first seen."""
        while not (await self.backlog()).trusted:
            await asyncio.sleep(0.02)

    async def close(self) -> None:
        self.raw.close()
        for connection in self._connections:
            await connection.close()


def new_task(**fields: Any) -> NewTask:
    return NewTask(
        **{"task_id": str(uuid_utils.uuid7()), "bytes": 3, "duration_seconds": 2.0, **fields}
    )


def record(consumer: Consumer) -> WorkerRecord:
    return WorkerRecord(
        consumer=consumer.name, worker=consumer.worker, pool=consumer.pool, slots=4, busy=0,
        in_flight_seconds=0, throughput=0, startup_seconds=1, model="m", engine="e", device="cpu",
        version="0", tasks_done=0, started_at=0,
    )  # fmt: skip


@pytest_asyncio.fixture
async def queue_on() -> AsyncIterator[Callable[..., Awaitable[Queue]]]:
    """Makes queues on given Redis settings, with changed queue settings."""
    made: list[Queue] = []

    async def make(redis_settings: RedisSettings, **changes: Any) -> Queue:
        values = {"lease_seconds": LEASE_SECONDS, "retry_backoff_seconds": 0.05, **changes}
        made.append(Queue(redis_settings, QueueSettings(_env_file=None, **values)))
        await made[-1].producer.prepare()
        return made[-1]

    yield make
    for queue in made:
        await queue.close()


@pytest_asyncio.fixture
async def queue(redis_server: Any, queue_on: Callable[..., Awaitable[Queue]]) -> Queue:
    """A queue on the shared Redis."""
    return await queue_on(redis_server.settings())


@pytest_asyncio.fixture
async def watcher(queue: Queue) -> AsyncIterator[TaskWatcher]:
    """A running watcher."""
    made = TaskWatcher(queue.connection)
    await made.start()
    yield made
    await made.stop()


@dataclass
class LossyProxy:
    """Passes bytes to Redis and back; can lose what Redis answers and break the connection."""

    target_port: int
    lose_replies: bool = False
    server: asyncio.Server | None = None

    async def start(self) -> LossyProxy:
        self.server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    @property
    def port(self) -> int:
        assert self.server
        return int(self.server.sockets[0].getsockname()[1])

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self.target_port)

        async def forward() -> None:
            while data := await reader.read(65536):
                up_writer.write(data)
            up_writer.close()

        async def back() -> None:
            while data := await up_reader.read(65536):
                if self.lose_replies:
                    break
                writer.write(data)
            writer.close()

        await asyncio.gather(forward(), back(), return_exceptions=True)


@pytest_asyncio.fixture
async def lossy_proxy() -> AsyncIterator[Callable[[int], Awaitable[LossyProxy]]]:
    """Starts proxies in front of a Redis."""
    made: list[LossyProxy] = []

    async def start(target_port: int) -> LossyProxy:
        made.append(await LossyProxy(target_port).start())
        return made[-1]

    yield start
    for proxy in made:
        assert proxy.server
        proxy.server.close()
