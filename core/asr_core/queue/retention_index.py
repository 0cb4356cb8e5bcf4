"""Redis side of retention: finished tasks, and removing their records."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from asr_core.queue.connection import RedisConnection, redis_errors
from asr_core.retention_policy import TaskSnapshot, last_id_before
from asr_core.task import TERMINAL, State

_FIELDS = ("tenant", "state", "finished_at", "bytes", "audio_deleted_at")


class RetentionIndex:
    """Reads in chunks; changes a task only if it is unchanged since it was read."""

    def __init__(self, connection: RedisConnection) -> None:
        self._redis = connection
        self._keys = connection.keys

    async def ready(self) -> None:
        """Raises `QueueUnavailable` or `SchemaMismatch`."""
        await self._redis.ready()

    async def try_lock(self, seconds: float) -> bool:
        """Take the retention lock for `seconds`."""
        taken = await self._redis.call(
            "take_turn", lock=self._keys.retention_lock, lock_ms=max(1, round(seconds * 1000))
        )
        return bool(taken)

    async def now_ms(self) -> int:
        """Redis's clock."""
        with redis_errors():
            return _milliseconds(await self._redis.client.time())

    async def finished(
        self, until_ms: int, chunk: int
    ) -> AsyncIterator[tuple[str, State, list[str]]]:
        """Ids of finished tasks submitted up to then, by tenant and state, oldest first.

        A task is submitted before it ends, so what ended by then is among them.
        """
        with redis_errors():
            tenants = await self._redis.client.smembers(self._keys.tenants)
        last = f"[{last_id_before(until_ms)}"
        for tenant in sorted(tenants):
            for state in sorted(TERMINAL):
                key, after = self._keys.history(tenant, state), "-"
                while True:
                    with redis_errors():
                        ids = await self._redis.client.zrangebylex(
                            key, after, last, start=0, num=chunk
                        )
                    if not ids:
                        break
                    yield tenant, state, ids
                    after = f"({ids[-1]}"

    async def snapshots(self, task_ids: Sequence[str]) -> tuple[int, dict[str, TaskSnapshot]]:
        """Redis's time in milliseconds, and the known tasks by id."""
        with redis_errors():
            async with self._redis.client.pipeline(transaction=False) as pipe:
                pipe.time()
                for task_id in task_ids:
                    pipe.hmget(self._keys.task(task_id), _FIELDS)
                time, *replies = await pipe.execute()
        found = zip(task_ids, replies, strict=True)
        return _milliseconds(time), {i: _snapshot(i, values) for i, values in found if values[1]}

    async def discard(self, tasks: Sequence[TaskSnapshot]) -> list[TaskSnapshot]:
        """Mark finished tasks whose recording is to be deleted; returns those that were marked.

        A task that changed meanwhile, e.g. by a retry, is skipped; a marked one can never be
        retried. Idempotent.
        """
        unmarked = [task for task in tasks if not task.audio_deleted]
        if not unmarked:
            return list(tasks)
        seen = [{"task_id": t.task_id, "finished_at": str(t.finished_ms)} for t in unmarked]
        replies = await self._redis.call("discard", tasks=seen)
        refused = {t.task_id for t, done in zip(unmarked, replies, strict=True) if not done}
        return [task for task in tasks if task.task_id not in refused]

    async def forget(self, tenant: str, state: State, task_ids: Sequence[str]) -> int:
        """Remove the records and index entries of marked tasks; returns how many."""
        if not task_ids:
            return 0
        return int(await self._redis.call("forget", tenant=tenant, state=state, ids=task_ids))


def _snapshot(task_id: str, values: Sequence[str | None]) -> TaskSnapshot:
    tenant, state, finished_at, size, audio_deleted_at = values
    return TaskSnapshot(
        task_id=task_id,
        tenant=tenant or "",
        state=State(state or ""),
        finished_ms=int(finished_at or 0),
        bytes=int(size or 0),
        audio_deleted=audio_deleted_at is not None,
    )


def _milliseconds(time: tuple[int, int]) -> int:
    return time[0] * 1000 + time[1] // 1000
