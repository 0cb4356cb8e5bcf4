"""What keeps the queue true: moving due retries, and reconciling tasks, streams and counters."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass

from asr_core.queue.connection import RedisConnection, redis_errors
from asr_core.queue.producer import prepare_groups
from asr_core.settings import QueueSettings
from asr_core.task import State

_CHUNK = 500
_LOCK_SECONDS = 55
_CONSUMER_IDLE_MS = 3_600_000


@dataclass(frozen=True)
class Reconciled:
    """What one pass mended. All zero is the normal case."""

    readded: int
    forgotten: int
    corrected: int
    consumers_removed: int

    @property
    def mended(self) -> bool:
        return any((self.readded, self.forgotten, self.corrected))


class Upkeep:
    """Run by every API pod; a lock in Redis lets one at a time reconcile."""

    def __init__(self, connection: RedisConnection, settings: QueueSettings) -> None:
        self._redis = connection
        self._keys = connection.keys
        self._settings = settings

    async def move_due(self) -> int:
        """Queues delayed retries whose time has come. Returns how many."""
        moved = 0
        for pool in self._settings.pools:
            moved += int(
                await self._redis.call(
                    "move_due", pool=pool, limit=1000, window=self._settings.tenant_window
                )
            )
        return moved

    async def reconcile(self, *, force: bool = False) -> Reconciled | None:
        """Queues again what stands nowhere and recounts. None: another did, a moment ago."""
        nonce = uuid.uuid4().hex
        with redis_errors():
            if not force and not await self._redis.client.set(
                self._keys.reconcile_lock, nonce, nx=True, ex=_LOCK_SECONDS
            ):
                return None
        await prepare_groups(self._redis, self._settings.pools)
        readded = forgotten = corrected = removed = 0
        async for tenant, state, ids in self._open_tasks():
            mended = await self._redis.call(
                "reconcile",
                ids=ids,
                tenant=tenant,
                state=state,
                window=self._settings.tenant_window,
            )
            readded, forgotten = readded + mended[0], forgotten + mended[1]
        for pool in self._settings.pools:
            counts = await self._redis.call(
                "recount",
                pool=pool,
                window=self._settings.tenant_window,
                consumer_idle_ms=_CONSUMER_IDLE_MS,
            )
            corrected, removed = corrected + counts[0], removed + counts[1]
        return Reconciled(readded, forgotten, corrected, removed)

    async def _open_tasks(self) -> AsyncIterator[tuple[str, str, list[str]]]:
        """Open tasks by tenant and state, in chunks, from the history and not the queue."""
        with redis_errors():
            tenants = await self._redis.client.smembers(self._keys.tenants)
        for tenant in sorted(tenants):
            for state in (State.QUEUED, State.PROCESSING):
                key = self._keys.history(tenant, state)
                after = "-"
                while True:
                    with redis_errors():
                        ids = await self._redis.client.zrangebylex(
                            key, after, "+", start=0, num=_CHUNK
                        )
                    if not ids:
                        break
                    yield tenant, state, ids
                    after = f"({ids[-1]}"
