"""Deletes blobs that no task points to, and refuses to wherever it might be wrong about that.

An empty Redis must never be read as "every blob is an orphan": Redis and store carry the same epoch
marker, a blob must be a day old, and a pass that finds more than 5 % orphans stops. Blobs without a
task count towards these from their first minutes on, else a Redis that was restored from an older
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
    """`orphans` are old enough and pointed to by nothing; `deleted` is 0 in a dry run."""

    seen: int
    orphans: int
    deleted: int


@dataclass
class _Pass:
    """What one look at every blob found.

    `recordings` and `results` have no task. `orphans` may go: they are older than `old_before` and
    not spared. `suspects` have no task, or are orphans, and nobody has adopted them: too many of
    these mean that Redis has lost data.
    """

    old_before: float
    adopted_at: float
    spare_adopted: bool
    seen: int = 0
    recordings: int = 0
    results: int = 0
    suspects: int = 0
    orphans: list[str] = field(default_factory=list)

    def judge(self, blob: StoredObject, pointer: tuple[str, str] | None) -> None:
        stray = pointer is None
        if stray and blob.path.startswith("audio/"):
            self.recordings += 1
        elif stray:
            self.results += 1
        adopted = stray and blob.modified_at < self.adopted_at
        orphan = (stray or _is_stale(blob.path, pointer)) and blob.modified_at < self.old_before
        if orphan and not (adopted and self.spare_adopted):
            self.orphans.append(blob.path)
        if not adopted and (stray or orphan):
            self.suspects += 1


class Sweep:
    """Compares the store with the tasks that Redis knows."""

    def __init__(self, sweeping: OrphanIndex, store: Store) -> None:
        self._queue = sweeping
        self._store = store

    async def mark(self, *, adopt: bool = False) -> None:
        """Gives a fresh Redis and a fresh store the same epoch marker.

        `adopt` marks them as belonging together whatever they carry, after a person has checked.
        What has no task by then is an orphan like any other, however much it is.

        Raises:
            SweepRefused: they carry different markers, or only one of them does.
        """
        in_store, in_redis = await epochs(self._queue, self._store)
        if not adopt and in_store and in_store == in_redis:
            await self._queue.end_loss(Loss.APART)
            return
        if not adopt and (in_store or not await self._is_empty()):
            raise SweepRefused(mismatch(self._store.url, in_store, in_redis), Loss.APART)
        # Redis decides: of two that mark a fresh pair at once, both write the same into the store.
        epoch = await self._queue.set_epoch(
            in_store or in_redis or uuid.uuid4().hex, only_if_none=not adopt
        )
        await self._store.put(EPOCH_PATH, epoch.encode())
        if adopt:
            await self._queue.adopt(time.time())

    async def run(
        self,
        *,
        min_age_seconds: float = MIN_AGE_SECONDS,
        dry_run: bool = False,
        by_itself: bool = False,
    ) -> Swept:
        """One pass over the store. Raises `SweepRefused` before anything is deleted; a dry run
        counts, whatever markers there are. `by_itself`, with nobody who asked for it, it leaves
        adopted blobs alone until that age has passed since their adoption.
        """
        found = await self._look(min_age_seconds, by_itself=by_itself)
        if dry_run:
            return Swept(found.seen, len(found.orphans), 0)
        # After the look: a Redis that lost its data in the middle of it has lost its marker too.
        await self.mark()
        if found.suspects > max(ALWAYS_ALLOWED, MAX_SHARE * found.seen):
            raise SweepRefused(
                f"{found.suspects} of {found.seen} blobs belong to no task, more than "
                f"{MAX_SHARE:.0%}: nothing was deleted. Has Redis lost data? If these may go, run "
                "`asr reconcile --adopt-store`",
                Loss.STRAYS,
            )
        await self._queue.end_loss(Loss.STRAYS)
        await self._store.sweep_unfinished(min_age_seconds)
        for path in found.orphans:
            await self._store.delete(path)
        return Swept(found.seen, len(found.orphans), len(found.orphans))

    async def record_loss(self, loss: Loss) -> OrphanedBlobs | None:
        """Counts what has no task, of any age, and keeps the loss for all to see. None: it was
        known.
        """
        if (await self._queue.strays()).loss is not None:
            return None
        await self._look(0)
        if not await self._queue.record_loss(loss, time.time()):
            return None
        return await self._queue.strays()

    async def _look(self, min_age_seconds: float, *, by_itself: bool = False) -> _Pass:
        """Counts, and keeps the count. An upload under way is younger than the settled age."""
        now = time.time()
        settled_before = now - min(min_age_seconds, SETTLED_SECONDS)
        adopted_at = (await self._queue.strays()).adopted_at
        found = _Pass(
            old_before=now - min_age_seconds,
            adopted_at=adopted_at,
            spare_adopted=by_itself and adopted_at >= now - min_age_seconds,
        )
        async for chunk in self._chunks():
            found.seen += len(chunk)
            settled = [blob for blob in chunk if blob.modified_at < settled_before]
            known = await self._queue.pointers([_task_id(blob.path) for blob in settled])
            for blob in settled:
                found.judge(blob, known.get(_task_id(blob.path)))
        await self._queue.record_strays(found.recordings, found.results)
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


async def epochs(sweeping: OrphanIndex, store: Store) -> tuple[str, str]:
    """The markers of store and Redis; empty where there is none. Equal: they belong together."""
    try:
        in_store = (await store.get(EPOCH_PATH)).decode()
    except StoreObjectMissing:
        in_store = ""
    return in_store, await sweeping.epoch()


def mismatch(store_url: str, in_store: str, in_redis: str) -> str:
    """What to look at when store and Redis carry different markers."""
    told = f"the store {store_url} carries epoch {in_store or 'none'}, Redis {in_redis or 'none'}: "
    if in_redis and not in_store:
        return told + (
            "is ASR_STORE_URL here that of the API and the workers? If it is, and the store has "
            "been replaced, run `asr reconcile --adopt-store`"
        )
    return told + (
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
