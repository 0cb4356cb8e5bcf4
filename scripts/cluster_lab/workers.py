"""Workers of a pool without an engine: real claims, heartbeats and finishes on a real Redis."""

from __future__ import annotations

import asyncio
import itertools
import time
from contextlib import suppress
from dataclasses import dataclass, field

from asr_core.errors import QueueUnavailable
from asr_core.queue import Claim, Consumer, Finish, RedisConnection, WorkerRecord
from asr_core.settings.queue import QueueSettings
from asr_core.settings.redis import RedisSettings

_boots = itertools.count(1)


@dataclass
class Worker:
    """One worker in a pod: it takes a task at a time, and ends when it has nothing in hand."""

    redis: RedisSettings
    settings: QueueSettings
    pod: str
    pool: str = "default"
    task_seconds: float = 0.1
    throughput: float = 10.0
    startup_seconds: float = 1.0
    busy: bool = False
    drained: list[str] = field(default_factory=list)
    _stopping: bool = False

    async def start(self) -> None:
        """Known to the queue when this returns."""
        self._connection = RedisConnection(self.redis)
        name = f"{self.pod}:{next(_boots)}"
        self.consumer = Consumer(
            self._connection, self.settings, pool=self.pool, name=name, worker=self.pod
        )
        self._done = 0
        await self.consumer.prepare()
        await self.consumer.beat(self._record())
        self._tasks = [asyncio.create_task(self._beat()), asyncio.create_task(self._work())]

    async def stop(self) -> None:
        """As SIGTERM: finishes what is in hand, claims nothing more, takes leave."""
        self._stopping = True
        beating, working = self._tasks
        await working
        beating.cancel()
        with suppress(asyncio.CancelledError):
            await beating
        with suppress(QueueUnavailable):
            await self.consumer.leave()
        await self._connection.close()

    async def kill(self) -> None:
        """As SIGKILL: what is in hand stays where it is."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._connection.close()

    def _record(self) -> WorkerRecord:
        return WorkerRecord(
            consumer=self.consumer.name, worker=self.pod, pool=self.pool, slots=1,
            busy=int(self.busy), in_flight_seconds=0, throughput=self.throughput,
            startup_seconds=self.startup_seconds, model="m", engine="e", device="cpu",
            version="0", tasks_done=self._done, started_at=time.time(),
        )  # fmt: skip

    async def _beat(self) -> None:
        while True:
            with suppress(QueueUnavailable):
                await self.consumer.beat(self._record())
            await asyncio.sleep(1)

    async def _work(self) -> None:
        while not self._stopping:
            try:
                claims = await self.consumer.claim(room_seconds=1e6, room_tasks=1, in_flight=0)
                for claim in claims:
                    await self._do(claim)
            except QueueUnavailable:
                claims = []
            if not claims:
                await asyncio.sleep(0.1)

    async def _do(self, claim: Claim) -> None:
        self.busy = True
        if self._stopping:
            self.drained.append(claim.task.task_id)
        await asyncio.sleep(self.task_seconds)
        result = f"results/{claim.task.task_id}/{claim.task.attempt}.json"
        finish = Finish(claim.task.task_id, claim.token, result, self.task_seconds)
        while True:
            try:
                await self.consumer.finish([finish])
                break
            except QueueUnavailable:
                await asyncio.sleep(0.2)
        self._done += 1
        self.busy = False
