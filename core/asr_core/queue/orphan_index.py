"""Redis side of the orphan sweep: the epoch marker, the blobs that tasks reference, and the last
count of orphaned blobs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from asr_core.queue.connection import RedisConnection, redis_errors

_LOCK_SECONDS = 3300


class Loss(StrEnum):
    """Why Redis is considered to have lost data."""

    APART = "apart"  # Redis and store carry different markers
    TOO_MANY_ORPHANS = (
        "strays"  # they do, but too many blobs have no task: an older Redis was restored
    )


@dataclass(frozen=True)
class OrphanedBlobs:
    """Blobs whose task Redis does not know, as last counted; None before the first count.

    `loss` is set when a loss is detected, until the store is adopted. Blobs older than `adopted_at`
    were adopted without their tasks. Times are Unix seconds.
    """

    recordings: int | None
    results: int | None
    loss: Loss | None
    lost_at: float | None
    adopted_at: float


class OrphanIndex:
    """Epoch marker, references and counts; `try_lock` lets one pod sweep per hour."""

    def __init__(self, connection: RedisConnection) -> None:
        self._redis = connection
        self._keys = connection.keys

    async def epoch(self) -> str:
        """The marker; empty in a Redis that never had one."""
        with redis_errors():
            return await self._redis.client.get(self._keys.epoch) or ""

    async def set_epoch(self, epoch: str, *, only_if_none: bool = False) -> str:
        """Write the marker; returns the one in effect."""
        with redis_errors():
            await self._redis.client.set(self._keys.epoch, epoch, nx=only_if_none)
        return await self.epoch()

    async def try_lock(self) -> bool:
        """Take the sweep lock, held for about an hour."""
        taken = await self._redis.call(
            "take_turn", lock=self._keys.sweep_lock, lock_ms=_LOCK_SECONDS * 1000
        )
        return bool(taken)

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

    async def orphaned_blobs(self) -> OrphanedBlobs:
        """The last count, and a recorded loss."""
        with redis_errors():
            text: dict[str, str] = await self._redis.client.hgetall(self._keys.strays)
        return OrphanedBlobs(
            recordings=int(text["recordings"]) if "recordings" in text else None,
            results=int(text["results"]) if "results" in text else None,
            loss=Loss(text["loss"]) if "loss" in text else None,
            lost_at=float(text["lost_at"]) if "lost_at" in text else None,
            adopted_at=float(text.get("adopted_at", 0)),
        )

    async def record_orphaned_blobs(self, recordings: int, results: int) -> None:
        """Store a count."""
        counts = {"recordings": recordings, "results": results}
        with redis_errors():
            await self._redis.client.hset(self._keys.strays, mapping=counts)

    async def record_loss(self, loss: Loss, at: float) -> bool:
        """Record a loss. Returns False if one is recorded already."""
        with redis_errors():
            if not await self._redis.client.hsetnx(self._keys.strays, "loss", loss.value):
                return False
            await self._redis.client.hset(self._keys.strays, "lost_at", at)
        return True

    async def end_loss(self, loss: Loss) -> None:
        """Clear this kind of loss: the right store, or Redis, is back."""
        if (await self.orphaned_blobs()).loss is loss:
            with redis_errors():
                await self._redis.client.hdel(self._keys.strays, "loss", "lost_at")

    async def adopt(self, at: float) -> None:
        """Adopt older blobs without a task, and clear any loss."""
        with redis_errors():
            async with self._redis.client.pipeline(transaction=True) as pipe:
                pipe.hset(self._keys.strays, "adopted_at", at)
                pipe.hdel(self._keys.strays, "loss", "lost_at")
                await pipe.execute()
