"""A queue on a real Redis, with small numbers so that leases run out within a test."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest_asyncio
import redis
import uuid_utils

from asr_core.lifecycle.retention import Retained, Retention
from asr_core.queue import (
    Backlog,
    BacklogReader,
    Claim,
    Consumer,
    Failure,
    Finish,
    OrphanIndex,
    Outcome,
    Producer,
    QueueReconciler,
    RedisConnection,
    Submission,
    TaskWatcher,
    WorkerRecord,
)
from asr_core.queue.retention_index import RetentionIndex
from asr_core.retention_policy import RetentionPolicy
from asr_core.settings.queue import QueueSettings
from asr_core.settings.redis import RedisSettings
from asr_core.store import Store
from asr_core.task import NewTask, State, audio_path, result_path
from chaos.proxy import FaultProxy

LEASE_SECONDS = 0.4


@dataclass
class Queue:
    """Everything a test of the queue needs, on one Redis."""

    redis_settings: RedisSettings
    settings: QueueSettings
    connection: RedisConnection = field(init=False)
    producer: Producer = field(init=False)
    reader: BacklogReader = field(init=False)
    upkeep: QueueReconciler = field(init=False)
    raw: redis.Redis = field(init=False)
    _connections: list[RedisConnection] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.connection = self.connect()
        self.producer = Producer(self.connection, self.settings)
        self.reader = BacklogReader(self.connection, self.settings)
        self.upkeep = QueueReconciler(self.connection, self.settings)
        self.raw = redis.Redis(
            port=self.redis_settings.port, username="admin", decode_responses=True
        )

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
        self, consumer: Consumer, tasks: int = 1000, *, seconds: float = 1e6, in_flight: int = 0
    ) -> list[Claim]:
        return await consumer.claim(room_seconds=seconds, room_tasks=tasks, in_flight=in_flight)

    async def reap(
        self, consumer: Consumer, tasks: int = 1000, *, in_flight: int = 0
    ) -> list[Claim]:
        return await consumer.reap(room_seconds=1e6, room_tasks=tasks, in_flight=in_flight)

    async def finish(self, consumer: Consumer, *claims: Claim) -> list[Outcome]:
        return await consumer.finish(
            [
                Finish(
                    c.task.task_id, c.token, f"results/{c.task.task_id}/{c.task.attempt}.json", 0.1
                )
                for c in claims
            ]
        )

    async def crash(self, consumer: Consumer, *, in_flight: int = 0) -> list[Claim]:
        """The holder of every lease is gone: another worker reaps once the leases have run out."""
        while True:
            await self.trusted()
            await asyncio.sleep(self.settings.lease_seconds + 0.02)
            claims = await self.reap(consumer, in_flight=in_flight)
            # A machine that stood still for seconds is a silence, after which nothing is judged.
            if claims or (await self.backlog()).trusted:
                return claims

    def leases_end(self) -> float:
        """Unix seconds at which the last lease runs out that there is now."""
        ends = [
            score
            for key in self.raw.scan_iter("asr:leases:*")
            for _, score in self.raw.zrange(key, -1, -1, withscores=True)
        ]
        return max(ends) / 1000

    async def outlive_leases(self, end: float | None = None) -> None:
        """Until the leases of now, or those that ended at `end`, have run out and nobody has
        renewed them. Redis and the test have one clock.
        """
        end = self.leases_end() if end is None else end
        while time.time() <= end:
            await asyncio.sleep(0.01)

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


@pytest_asyncio.fixture
async def proxy(queue: Queue) -> AsyncIterator[FaultProxy]:
    """In front of the shared Redis."""
    async with FaultProxy(queue.redis_settings.port) as made:
        yield made


@pytest_asyncio.fixture
async def behind_proxy(
    queue: Queue, proxy: FaultProxy
) -> AsyncIterator[Callable[..., RedisConnection]]:
    """Makes connections that go through the proxy."""
    made: list[RedisConnection] = []

    def connect(*, retries: int = 0, timeout_seconds: float = 5.0) -> RedisConnection:
        changes = {"port": proxy.port, "timeout_seconds": timeout_seconds}
        settings = queue.redis_settings.model_copy(update=changes)
        made.append(RedisConnection(settings, retries=retries))
        return made[-1]

    yield connect
    for connection in made:
        await connection.close()


@dataclass
class Keep:
    """A queue and a store, with tasks in any state, and retention over both."""

    queue: Queue
    store: Store
    folder: Path

    async def add(self, state: State, *, age_seconds: float = 0, **fields: Any) -> str:
        """A task with a recording of three bytes, and a result if it is completed.

        An aged one was submitted and ended so long ago.
        """
        born_seconds = time.time() - age_seconds
        task_id = str(uuid_utils.uuid7(nanoseconds=int(born_seconds * 1e9)))
        await self.store.put(audio_path(task_id), b"abc")
        await self.queue.submit_one(task_id=task_id, **fields)
        await self.end(task_id, state)
        if age_seconds and state.terminal:
            ended_ms = int(born_seconds * 1000)
            self.queue.raw.hset(f"asr:task:{task_id}", "finished_at", ended_ms)
        return task_id

    async def end(self, task_id: str, state: State) -> None:
        """Brings the only waiting task to a state."""
        if state is State.CANCELLED:
            await self.queue.producer.cancel(task_id)
        if state in (State.QUEUED, State.CANCELLED):
            return
        consumer = await self.queue.consumer()
        [claim] = await self.queue.claim(consumer)
        assert claim.task.task_id == task_id
        if state is State.FAILED:
            await consumer.fail([Failure(task_id, claim.token, "unreadable", "broken", True)])
        if state is State.COMPLETED:
            await self.store.put(result_path(task_id, claim.task.attempt), b"{}")
            await self.queue.finish(consumer, claim)

    async def run(self, *, dry_run: bool = False, **limits: Any) -> Retained:
        """One pass under these limits and no other."""
        return await self.retention(**limits).run(dry_run=dry_run)

    def retention(self, **limits: Any) -> Retention:
        connection = self.queue.connection
        policy = RetentionPolicy(**limits)
        return Retention(RetentionIndex(connection), OrphanIndex(connection), self.store, policy)

    def recordings(self) -> set[str]:
        return {path.name for path in self.folder.glob("audio/*")}

    def results(self) -> set[str]:
        return {path.parent.name for path in self.folder.glob("results/*/*")}

    def records(self) -> set[str]:
        return {key.removeprefix("asr:task:") for key in self.queue.raw.keys("asr:task:*")}

    def dump(self) -> tuple[dict[bytes, bytes], dict[Path, tuple[bytes, int]]]:
        """Every key of Redis and every file of the store, as they are to the last bit."""
        with redis.Redis(port=self.queue.redis_settings.port, username="admin") as raw:
            keys = {key: raw.dump(key) for key in raw.keys("*")}
        files = [path for path in self.folder.rglob("*") if path.is_file()]
        return keys, {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in files}


@pytest_asyncio.fixture
async def keep(queue: Queue, tmp_path: Path) -> Keep:
    """On the shared Redis, with a store in a folder."""
    store = Store.open((tmp_path / "store").as_uri())
    await store.ready()
    return Keep(queue, store, tmp_path / "store")
