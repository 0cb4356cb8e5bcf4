"""Moves due retries, and reconciles tasks, streams and counters."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from asr_core.queue.connection import RedisConnection, redis_errors
from asr_core.settings.queue import QueueSettings
from asr_core.task import State

_CHUNK = 500
_RECOUNT_CALLS = 40  # a pass reads at most 20,000 tasks per tenant
_LOCK_SECONDS = 55
_CONSUMER_IDLE_MS = 3_600_000


@dataclass(frozen=True)
class Reconciled:
    """What one pass repaired; normally all zero.

    `readded` tasks were in no queue and were requeued, `forgotten` history entries had no open
    task, `corrected` counters had drifted, `groups` had been destroyed and were recreated.
    `quotas_recounted` tenants had wrong stored bytes; `tenants_recounted` are other per-tenant
    counters, which older releases do not maintain.
    """

    readded: int
    forgotten: int
    corrected: int
    groups: int
    consumers_removed: int
    quotas_recounted: int
    tenants_recounted: int

    @property
    def repaired(self) -> dict[str, int]:
        """Non-zero repair counts by name."""
        counts = {
            "readded": self.readded,
            "forgotten": self.forgotten,
            "corrected": self.corrected,
            "groups": self.groups,
        }
        return {what: count for what, count in counts.items() if count}


class QueueReconciler:
    """Runs on every API pod; a lock in Redis admits one at a time."""

    def __init__(self, connection: RedisConnection, settings: QueueSettings) -> None:
        self._redis = connection
        self._keys = connection.keys
        self._settings = settings

    async def move_due(self) -> int:
        """Enqueue delayed retries that are due. Returns how many."""
        moved = 0
        for pool in self._settings.pools:
            moved += int(
                await self._redis.call(
                    "move_due",
                    pool=pool,
                    limit=1000,
                    window=self._settings.tenant_window,
                    lease_ms=round(self._settings.lease_seconds * 1000),
                )
            )
        return moved

    async def reconcile(self, *, force: bool = False) -> Reconciled | None:
        """Requeue lost tasks and recount. None if another pod holds the lock.

        An emptied Redis gets its schema and groups back.
        """
        if not force and not await self._redis.call(
            "take_turn", lock=self._keys.reconcile_lock, lock_ms=_LOCK_SECONDS * 1000
        ):
            return None
        await self._redis.prepare(self._settings.pools, publish=not force)
        readded = forgotten = corrected = removed = tenants = 0
        async for tenant, state, ids in self._open_tasks():
            repaired = await self._redis.call(
                "reconcile",
                ids=ids,
                tenant=tenant,
                state=state,
                window=self._settings.tenant_window,
            )
            readded, forgotten = readded + repaired[0], forgotten + repaired[1]
        for pool in self._settings.pools:
            counts = await self._redis.call(
                "recount",
                pool=pool,
                window=self._settings.tenant_window,
                consumer_idle_ms=_CONSUMER_IDLE_MS,
            )
            corrected, removed = corrected + counts[0], removed + counts[1]
            tenants += counts[2]
        tenants += int(await self._redis.call("recount_dead", force=force))
        recounted = await self._recount_stored(whole=force)
        with redis_errors():
            groups = int(await self._redis.client.getdel(self._keys.remade) or 0)
        return Reconciled(readded, forgotten, corrected, groups, removed, recounted, tenants)

    async def _recount_stored(self, *, whole: bool) -> int:
        """Recount the stored bytes of every tenant, incrementally for large ones.

        Returns how many counters had drifted.
        """
        with redis_errors():
            known = await self._redis.client.smembers(self._keys.tenants)
            known |= set(await self._redis.client.hkeys(self._keys.tenant_stored))
        drifted = 0
        for tenant in sorted(known):
            done, calls = 0, 0
            while not done and (whole or calls < _RECOUNT_CALLS):
                done, wrong = await self._redis.call("recount_stored", tenant=tenant, count=_CHUNK)
                drifted, calls = drifted + wrong, calls + 1
        return drifted

    async def _open_tasks(self) -> AsyncIterator[tuple[str, str, list[str]]]:
        """Open tasks by tenant and state, in chunks, from the history and not the queue."""
        with redis_errors():
            tenants = await self._redis.client.smembers(self._keys.tenants)
        for tenant in sorted(tenants):
            for state in (State.QUEUED, State.PROCESSING, State.FETCHING):
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
