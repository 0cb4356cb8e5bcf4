"""Consumer side: claim, reap, recover, finish, fail, release."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

import redis

from asr_core.queue import workers
from asr_core.queue.connection import RedisConnection
from asr_core.queue.models import ServedModel
from asr_core.queue.outcome import Outcome
from asr_core.queue.record import from_hash, pairs
from asr_core.queue.subscription import messages
from asr_core.queue.workers import WorkerRecord
from asr_core.settings.queue import QueueSettings
from asr_core.task import Task
from asr_core.text_limits import ERROR_MESSAGE

KEPT_EACH = 4
_PARTIALS_LIMIT = 10_000
_PARTIALS_TTL_MS = 600_000


@dataclass(frozen=True)
class Claim:
    """One attempt: `token` fences it; a `solo` task must run alone."""

    task: Task
    token: str
    solo: bool


@dataclass(frozen=True)
class Finish:
    """A result stored at `result`; `audio_seconds` is the decoded duration, None: use the probed
    one; `speech_seconds` how much of it is speech, None: not known.
    """

    task_id: str
    token: str
    result: str
    processing_seconds: float
    audio_seconds: float | None = None
    speech_seconds: float | None = None


@dataclass(frozen=True)
class Failure:
    """A permanent error fails the task, a transient one requeues it after a backoff."""

    task_id: str
    token: str
    code: str
    message: str
    permanent: bool


class Consumer:
    """One worker process in the consumer group. Use a connection without retries.

    After any error of `claim` or `reap`, call `recover` first: the script may have begun tasks
    whose reply was lost.
    """

    def __init__(
        self,
        connection: RedisConnection,
        settings: QueueSettings,
        *,
        pool: str,
        name: str,
        worker: str = "",
    ) -> None:
        self._redis = connection
        self._settings = settings
        self._lease_ms = round(settings.lease_seconds * 1000)
        self._claims = 0
        self.pool = pool
        self.name = name
        self.worker = worker or name

    async def prepare(self) -> None:
        """Checks the schema and makes the groups; safe to repeat."""
        await self._redis.prepare((self.pool,))

    async def claim(
        self,
        *,
        room_seconds: float,
        room_tasks: int,
        in_flight: int,
        kept_for: Mapping[str, int] | None = None,
    ) -> list[Claim]:
        """Begins waiting tasks: at most `room_tasks`, until `room_seconds` of audio are reached.

        `in_flight` is how many tasks this worker holds; a solo task only goes to an empty one.
        `kept_for` (interactive tasks in flight by tenant): claim only interactive tasks of tenants
        with fewer than `KEPT_EACH` of them.
        """
        kept = {} if kept_for is None else {"kept_for": dict(kept_for), "kept_each": KEPT_EACH}
        return await self._take("claim", room_seconds, room_tasks, in_flight, **kept)

    async def reap(self, *, room_seconds: float, room_tasks: int, in_flight: int) -> list[Claim]:
        """Take over tasks whose lease has expired or that were released."""
        return await self._take("reap", room_seconds, room_tasks, in_flight)

    async def recover(self) -> list[Claim]:
        """All attempts of this consumer, including those whose claim reply was lost."""
        reply = await self._redis.call("recover", pool=self.pool, consumer=self.name)
        return [_claim(item) for item in reply]

    async def finish(self, done: Sequence[Finish]) -> list[Outcome]:
        """Publish results. Idempotent: repeating a successful finish returns `OK`."""
        return await self._settle("finish", [_finished(item) for item in done])

    async def fail(self, failures: Sequence[Failure]) -> list[Outcome]:
        """Records failures; transient ones are queued again after a backoff, a few times."""
        tasks = [
            {
                "task_id": item.task_id,
                "token": item.token,
                "code": item.code,
                "message": ERROR_MESSAGE.cut(item.message),
                "permanent": item.permanent,
                "jitter": random.uniform(0.8, 1.2),
            }
            for item in failures
        ]
        return await self._settle(
            "fail",
            tasks,
            retry_limit=self._settings.retry_limit,
            backoff_ms=round(self._settings.retry_backoff_seconds * 1000),
        )

    async def release(self, attempts: Sequence[tuple[str, str]]) -> list[Outcome]:
        """Release attempts (task id, token) at once; they do not count."""
        tasks = [{"task_id": task_id, "token": token} for task_id, token in attempts]
        return await self._settle("release", tasks, lease_ms=self._lease_ms)

    async def publish_partial(
        self, task_id: str, token: str, *, first: int, texts: Sequence[str]
    ) -> bool:
        """Append partial texts of an attempt, in order, after the `first` ones published before.

        Returns False if no client reads them any more. Idempotent.
        """
        reply = await self._redis.call(
            "say",
            task_id=task_id,
            token=token,
            first=first,
            texts=list(texts),
            limit=_PARTIALS_LIMIT,
            ttl_ms=_PARTIALS_TTL_MS,
        )
        return bool(reply == "ok")

    async def beat(self, record: WorkerRecord, serves: ServedModel | None = None) -> bool:
        """Writes the worker's record, and what its model can do. Returns whether it has been
        cordoned.
        """
        return await workers.beat(self._redis, record, serves)

    async def leave(self) -> None:
        """Removes the worker's record."""
        await workers.leave(self._redis, self.pool, self.name)

    @asynccontextmanager
    async def wake(self) -> AsyncIterator[asyncio.Event]:
        """An event that is set on new work. Only a hint: also poll every second."""
        event = asyncio.Event()
        listener = asyncio.create_task(self._listen(event))
        try:
            yield event
        finally:
            listener.cancel()
            with suppress(asyncio.CancelledError):
                await listener

    async def _listen(self, event: asyncio.Event) -> None:
        while True:
            try:
                async with self._redis.pubsub_client.pubsub() as pubsub:
                    await pubsub.subscribe(self._redis.keys.wake(self.pool))
                    async for message in messages(pubsub):
                        # Also on subscribe: work may have arrived before.
                        if message["type"] in ("subscribe", "message"):
                            event.set()
            except (redis.exceptions.RedisError, OSError):
                await asyncio.sleep(1)

    async def _take(
        self, script: str, room_seconds: float, room_tasks: int, in_flight: int, **more: Any
    ) -> list[Claim]:
        self._claims += 1
        reply = await self._redis.call(
            script,
            pool=self.pool,
            consumer=self.name,
            worker=self.worker,
            token=f"{self.name}:{self._claims}",
            room_ms=round(room_seconds * 1000),
            room_tasks=room_tasks,
            in_hand=in_flight,
            lease_ms=self._lease_ms,
            window=self._settings.tenant_window,
            **more,
        )
        return [_claim(item) for item in reply]

    async def _settle(
        self, script: str, tasks: list[dict[str, Any]], **arguments: Any
    ) -> list[Outcome]:
        if not tasks:
            return []
        return [Outcome(o) for o in await self._redis.call(script, tasks=tasks, **arguments)]


def _finished(item: Finish) -> dict[str, Any]:
    arguments: dict[str, Any] = {
        "task_id": item.task_id,
        "token": item.token,
        "result": item.result,
        "processing_ms": round(item.processing_seconds * 1000),
    }
    if item.audio_seconds is not None:
        arguments["duration_ms"] = round(item.audio_seconds * 1000)
    if item.speech_seconds is not None:
        arguments["speech_ms"] = round(item.speech_seconds * 1000)
    return arguments


def _claim(item: list[Any]) -> Claim:
    token, solo, flat = item
    return Claim(from_hash(pairs(flat)), token, bool(solo))
