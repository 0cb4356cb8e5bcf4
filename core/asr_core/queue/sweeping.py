"""What a sweep of the store asks Redis: the epoch marker, and which blobs tasks point to."""

from __future__ import annotations

from collections.abc import Sequence

from asr_core.queue.connection import RedisConnection, redis_errors

_LOCK_SECONDS = 3300


class Sweeping:
    """Reads, and the marker; `turn` lets one pod an hour sweep."""

    def __init__(self, connection: RedisConnection) -> None:
        self._redis = connection
        self._keys = connection.keys

    async def epoch(self) -> str:
        """The marker, or an empty string in a Redis that never had one."""
        with redis_errors():
            return await self._redis.client.get(self._keys.epoch) or ""

    async def set_epoch(self, epoch: str, *, only_if_none: bool = False) -> str:
        """Writes the marker, and returns the one that stands then."""
        with redis_errors():
            await self._redis.client.set(self._keys.epoch, epoch, nx=only_if_none)
        return await self.epoch()

    async def turn(self) -> bool:
        """Whether nobody has swept for about an hour; true once."""
        with redis_errors():
            return bool(
                await self._redis.client.set(self._keys.sweep_lock, "1", nx=True, ex=_LOCK_SECONDS)
            )

    async def pointers(self, task_ids: Sequence[str]) -> dict[str, tuple[str, str]]:
        """(state, result path) of those tasks that Redis knows."""
        if not task_ids:
            return {}
        with redis_errors():
            async with self._redis.client.pipeline(transaction=False) as pipe:
                for task_id in task_ids:
                    pipe.hmget(self._keys.task(task_id), ["state", "result"])
                replies: list[list[str | None]] = await pipe.execute()
        return {
            task_id: (state, result or "")
            for task_id, (state, result) in zip(task_ids, replies, strict=True)
            if state
        }
