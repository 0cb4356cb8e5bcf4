"""Task changes over one pub/sub connection per process, for any number of listeners."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

import redis
from redis.asyncio.client import PubSub

from asr_core.queue.connection import RedisConnection
from asr_core.queue.subscription import messages

_QUEUE_LENGTH = 64


@dataclass(frozen=True)
class TaskChange:
    """`state` is a task state, `deleted`, or empty after a lost connection: read the task again."""

    state: str
    progress: float


class TaskWatcher:
    """Subscribe first, then read the task, so that no change is missed.

    A slow listener loses the oldest changes, never the newest, and does not slow others.
    """

    def __init__(self, connection: RedisConnection) -> None:
        self._redis = connection
        self._listeners: dict[str, set[asyncio.Queue[TaskChange]]] = defaultdict(set)
        self._pubsub: PubSub | None = None
        self._wanted = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._confirmations: dict[str, asyncio.Event] = {}

    async def start(self) -> None:
        """Begins to listen, in the background."""
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Ends all listening."""
        if self._task:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    @asynccontextmanager
    async def watch(self, task_id: str) -> AsyncIterator[AsyncIterator[TaskChange]]:
        """Yields an endless iterator of changes, once the subscription stands (2 s at most)."""
        channel = self._redis.keys.changed(task_id)
        changes: asyncio.Queue[TaskChange] = asyncio.Queue(_QUEUE_LENGTH)
        self._listeners[channel].add(changes)
        confirmed = self._confirmations.setdefault(channel, asyncio.Event())
        try:
            await self._subscribe(channel)
            with suppress(TimeoutError):
                await asyncio.wait_for(confirmed.wait(), 2)
            yield _endless(changes)
        finally:
            self._listeners[channel].discard(changes)
            if not self._listeners[channel]:
                del self._listeners[channel]
                self._confirmations.pop(channel, None)
                await self._unsubscribe(channel)

    async def _subscribe(self, channel: str) -> None:
        self._wanted.set()
        if self._pubsub is not None and not self._confirmations[channel].is_set():
            with suppress(redis.exceptions.RedisError, OSError):
                await self._pubsub.subscribe(channel)

    async def _unsubscribe(self, channel: str) -> None:
        if self._pubsub is not None:
            with suppress(redis.exceptions.RedisError, OSError):
                await self._pubsub.unsubscribe(channel)

    async def _run(self) -> None:
        while True:
            await self._wanted.wait()
            try:
                async with self._redis.pubsub_client.pubsub() as pubsub:
                    await self._listen(pubsub)
            except (redis.exceptions.RedisError, OSError):
                await asyncio.sleep(0.5)
            finally:
                self._pubsub = None
                for confirmed in self._confirmations.values():
                    confirmed.clear()

    async def _listen(self, pubsub: PubSub) -> None:
        channels = list(self._listeners)
        if not channels:
            self._wanted.clear()
            return
        await pubsub.subscribe(*channels)
        self._pubsub = pubsub
        await pubsub.subscribe(*self._listeners)
        async for message in messages(pubsub):
            if message["type"] == "subscribe":
                if confirmed := self._confirmations.get(message["channel"]):
                    confirmed.set()
                self._notify(message["channel"], TaskChange("", 0.0))
            elif message["type"] == "message":
                state, _, progress = message["data"].partition(" ")
                self._notify(message["channel"], TaskChange(state, float(progress or 0)))

    def _notify(self, channel: str, change: TaskChange) -> None:
        for changes in self._listeners.get(channel, ()):
            if changes.full():
                changes.get_nowait()
            changes.put_nowait(change)


async def _endless(changes: asyncio.Queue[TaskChange]) -> AsyncIterator[TaskChange]:
    while True:
        yield await changes.get()
