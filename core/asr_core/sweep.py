"""Deletes blobs that no task points to, and refuses to wherever it might be wrong about that.

An empty Redis must never be read as "every blob is an orphan": Redis and store carry the same epoch
marker, a blob must be a day old, and more than 5 % orphans in one pass stop it.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass

from asr_core.errors import AsrError
from asr_core.queue.sweeping import Sweeping
from asr_core.store import Store, StoredObject, StoreObjectMissing
from asr_core.task import State

EPOCH_PATH = "epoch"
MIN_AGE_SECONDS = 24 * 3600.0
MAX_SHARE = 0.05
ALWAYS_ALLOWED = 10
_CHUNK = 500


class SweepRefused(AsrError):
    """Redis and store do not belong together, or too much looks orphaned. Nothing was deleted."""

    code = "sweep_refused"


@dataclass(frozen=True)
class Swept:
    """`orphans` are old enough and pointed to by nothing; `deleted` is 0 in a dry run."""

    seen: int
    orphans: int
    deleted: int


class Sweep:
    """Compares the store with the tasks that Redis knows."""

    def __init__(self, sweeping: Sweeping, store: Store) -> None:
        self._queue = sweeping
        self._store = store

    async def mark(self, *, adopt: bool = False) -> None:
        """Gives a fresh Redis and a fresh store the same epoch marker.

        `adopt` marks them as belonging together whatever they carry, after a person has checked.

        Raises:
            SweepRefused: they carry different markers, or only one of them does.
        """
        in_store = await self._store_epoch()
        in_redis = await self._queue.epoch()
        if in_store and in_store == in_redis:
            return
        if not adopt and (in_store or not await self._is_empty()):
            raise SweepRefused(
                f"the store carries epoch {in_store or 'none'}, Redis {in_redis or 'none'}: "
                "is this the right Redis, with its data? If so, run `asr reconcile --adopt-store`"
            )
        # Redis decides: of two that mark a fresh pair at once, both write the same into the store.
        epoch = await self._queue.set_epoch(
            in_store or in_redis or uuid.uuid4().hex, only_if_none=not adopt
        )
        await self._store.put(EPOCH_PATH, epoch.encode())

    async def run(
        self, *, min_age_seconds: float = MIN_AGE_SECONDS, dry_run: bool = False
    ) -> Swept:
        """One pass over the store. Raises `SweepRefused` before anything is deleted."""
        await self.mark()
        await self._store.sweep_unfinished(min_age_seconds)
        seen, orphans = 0, []
        async for chunk in self._chunks():
            seen += len(chunk)
            orphans += await self._orphans(chunk, time.time() - min_age_seconds)
        if len(orphans) > max(ALWAYS_ALLOWED, MAX_SHARE * seen):
            raise SweepRefused(
                f"{len(orphans)} of {seen} blobs belong to no task, more than {MAX_SHARE:.0%}: "
                "nothing was deleted; has Redis lost data?"
            )
        if not dry_run:
            for path in orphans:
                await self._store.delete(path)
        return Swept(seen, len(orphans), 0 if dry_run else len(orphans))

    async def _store_epoch(self) -> str:
        try:
            return (await self._store.get(EPOCH_PATH)).decode()
        except StoreObjectMissing:
            return ""

    async def _is_empty(self) -> bool:
        async for _ in self._store.list("audio/"):
            return False
        return True

    async def _chunks(self) -> AsyncIterator[list[StoredObject]]:
        chunk: list[StoredObject] = []
        for prefix in ("audio/", "results/"):
            async for blob in self._store.list(prefix):
                chunk.append(blob)
                if len(chunk) == _CHUNK:
                    yield chunk
                    chunk = []
        if chunk:
            yield chunk

    async def _orphans(self, blobs: list[StoredObject], before: float) -> list[str]:
        old = [blob for blob in blobs if blob.modified_at < before]
        known = await self._queue.pointers([_task_id(blob.path) for blob in old])
        return [b.path for b in old if _is_orphan(b.path, known.get(_task_id(b.path)))]


def _task_id(path: str) -> str:
    return path.split("/")[1]


def _is_orphan(path: str, pointer: tuple[str, str] | None) -> bool:
    """A result of a finished task is kept only if the task points to it."""
    if pointer is None:
        return True
    state, result = pointer
    return path.startswith("results/") and State(state).terminal and path != result
