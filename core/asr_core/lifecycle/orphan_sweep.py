"""Deletes orphaned blobs, with safeguards against a lost or wrong Redis.

An empty Redis must not make every blob an orphan: Redis and store carry the same epoch marker, a
blob must be a day old to be deleted, and a pass that finds more than 5 % orphans stops. Blobs
without a task count towards these 5 % after ten minutes; otherwise a Redis restored from an older
backup would lose them in slices, a day later.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from asr_core.errors import AsrError
from asr_core.queue.orphan_index import Loss, OrphanedBlobs, OrphanIndex
from asr_core.store import Store, StoredObject, StoreObjectMissing
from asr_core.task import State

EPOCH_PATH = "epoch"
MIN_AGE_SECONDS = 24 * 3600.0
SETTLED_SECONDS = 600.0
MAX_SHARE = 0.05
ALWAYS_ALLOWED = 10
_CHUNK = 500


class SweepRefused(AsrError):
    """Redis and store do not belong together, or too much looks orphaned. Nothing was deleted."""

    code = "sweep_refused"

    def __init__(self, message: str, loss: Loss) -> None:
        super().__init__(message)
        self.loss = loss


@dataclass(frozen=True)
class Swept:
    """`orphans`: unreferenced and old enough to delete; `deleted` is 0 in a dry run."""

    seen: int
    orphans: int
    deleted: int


@dataclass
class _Pass:
    """Counts of one scan of the store.

    `recordings` and `results` have no task. `orphans` can be deleted: they are older than
    `old_before` and not spared. `suspects` have no task or are orphans, and were not adopted: too
    many of them mean that Redis has lost data.
    """

    old_before: float
    adopted_at: float
    spare_adopted: bool
    seen: int = 0
    recordings: int = 0
    results: int = 0
    suspects: int = 0
    orphans: list[str] = field(default_factory=list)

    def classify(self, blob: StoredObject, pointer: tuple[str, str] | None) -> None:
        orphaned = pointer is None
        if orphaned and blob.path.startswith("audio/"):
            self.recordings += 1
        elif orphaned:
            self.results += 1
        adopted = orphaned and blob.modified_at < self.adopted_at
        deletable = (
            orphaned or _is_stale(blob.path, pointer)
        ) and blob.modified_at < self.old_before
        if deletable and not (adopted and self.spare_adopted):
            self.orphans.append(blob.path)
        if not adopted and (orphaned or deletable):
            self.suspects += 1


class Sweep:
    """Compares the store with the tasks in Redis."""

    def __init__(self, index: OrphanIndex, store: Store) -> None:
        self._index = index
        self._store = store

    async def mark(self, *, adopt: bool = False) -> None:
        """Write the same epoch marker to a fresh Redis and a fresh store.

        `adopt` pairs them whatever markers they carry, after an operator has checked. From then on
        blobs without a task are ordinary orphans, however many there are.

        Raises:
            SweepRefused: they carry different markers, or only one of them does.
        """
        in_store, in_redis = await epochs(self._index, self._store)
        if not adopt and in_store and in_store == in_redis:
            await self._index.end_loss(Loss.APART)
            return
        if not adopt and (in_store or not await self._is_empty()):
            raise SweepRefused(mismatch(self._store.url, in_store, in_redis), Loss.APART)
        # Redis decides: of two that mark a fresh pair at once, both write the same into the store.
        epoch = await self._index.set_epoch(
            in_store or in_redis or uuid.uuid4().hex, only_if_none=not adopt
        )
        await self._store.put(EPOCH_PATH, epoch.encode())
        if adopt:
            await self._index.adopt(time.time())

    async def run(
        self,
        *,
        min_age_seconds: float = MIN_AGE_SECONDS,
        dry_run: bool = False,
        automatic: bool = False,
    ) -> Swept:
        """One pass over the store. Raises `SweepRefused` before anything is deleted; a dry run
        ignores the markers. In `automatic` runs, adopted blobs are skipped until the minimum age
        has passed since their adoption.
        """
        found = await self._scan(min_age_seconds, automatic=automatic)
        if dry_run:
            return Swept(found.seen, len(found.orphans), 0)
        # After the scan: a Redis that lost its data meanwhile has lost its marker too.
        await self.mark()
        if found.suspects > max(ALWAYS_ALLOWED, MAX_SHARE * found.seen):
            raise SweepRefused(
                f"{found.suspects} of {found.seen} blobs belong to no task, more than "
                f"{MAX_SHARE:.0%}: nothing was deleted. Has Redis lost data? To "
                "delete these, run `asr reconcile --adopt-store`",
                Loss.TOO_MANY_ORPHANS,
            )
        await self._index.end_loss(Loss.TOO_MANY_ORPHANS)
        await self._store.sweep_unfinished(min_age_seconds)
        for path in found.orphans:
            await self._store.delete(path)
        return Swept(found.seen, len(found.orphans), len(found.orphans))

    async def record_loss(self, loss: Loss) -> OrphanedBlobs | None:
        """Count blobs without a task, of any age, and record the loss. None if already recorded."""
        if (await self._index.orphaned_blobs()).loss is not None:
            return None
        await self._scan(0)
        if not await self._index.record_loss(loss, time.time()):
            return None
        return await self._index.orphaned_blobs()

    async def _scan(self, min_age_seconds: float, *, automatic: bool = False) -> _Pass:
        """Scan the store and record the counts. Blobs younger than the settled age may still be
        uploads in progress.
        """
        now = time.time()
        settled_before = now - min(min_age_seconds, SETTLED_SECONDS)
        adopted_at = (await self._index.orphaned_blobs()).adopted_at
        found = _Pass(
            old_before=now - min_age_seconds,
            adopted_at=adopted_at,
            spare_adopted=automatic and adopted_at >= now - min_age_seconds,
        )
        async for chunk in self._chunks():
            found.seen += len(chunk)
            settled = [blob for blob in chunk if blob.modified_at < settled_before]
            known = await self._index.pointers([_task_id(blob.path) for blob in settled])
            for blob in settled:
                found.classify(blob, known.get(_task_id(blob.path)))
        await self._index.record_orphaned_blobs(found.recordings, found.results)
        return found

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


async def epochs(index: OrphanIndex, store: Store) -> tuple[str, str]:
    """The epoch markers of store and Redis, empty if absent. Equal markers: a pair."""
    try:
        in_store = (await store.get(EPOCH_PATH)).decode()
    except StoreObjectMissing:
        in_store = ""
    return in_store, await index.epoch()


def mismatch(store_url: str, in_store: str, in_redis: str) -> str:
    """Explains a mismatch of the epoch markers and the remedy."""
    text = f"the store {store_url} carries epoch {in_store or 'none'}, Redis {in_redis or 'none'}: "
    if in_redis and not in_store:
        return text + (
            "is ASR_STORE_URL here that of the API and the workers? If it is, and the store has "
            "been replaced, run `asr reconcile --adopt-store`"
        )
    return text + (
        "is this the right Redis, with its data? If so, run `asr reconcile --adopt-store`"
    )


def _task_id(path: str) -> str:
    return path.split("/")[1]


def _is_stale(path: str, pointer: tuple[str, str] | None) -> bool:
    """A result of a finished task is kept only if the task points to it."""
    if pointer is None or not path.startswith("results/"):
        return False
    state, result = pointer
    return State(state).terminal and path != result
