"""Deletes what is past its time: recordings by number and age, whole tasks by age.

Only of finished tasks, and in an order that may break off anywhere: a task is marked, and from then
on never queued again; then its files go; its record goes last, so that the next pass finds what
this one has left. A blob that no task knows is the sweep's business, never retention's.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from asr_core.errors import AsrError, DependencyError, StoreUnavailable
from asr_core.lifecycle.orphan_sweep import epochs, mismatch
from asr_core.process.logs import get_logger
from asr_core.queue.orphan_index import OrphanIndex
from asr_core.queue.retention_index import RetentionIndex
from asr_core.retention_policy import RecordingPlan, RetentionPolicy, TaskSnapshot
from asr_core.store import Store
from asr_core.task import audio_path, results_prefix

_CHUNK = 200
_AT_ONCE = 8
_GIVE_UP_AFTER = 5


class RetentionRefused(AsrError):
    """Redis and store do not belong together. Nothing was deleted."""

    code = "retention_refused"


@dataclass
class Retained:
    """What one pass did, or in a dry run would do.

    `recordings_deleted` and `bytes_freed` include recordings that went with their record.
    `recordings_kept` counts finished tasks' recordings, `unknown` blobs that no task knows; both
    are None where no limit on recordings made the pass look at them all.
    """

    dry_run: bool = False
    recordings_deleted: int = 0
    bytes_freed: int = 0
    records_deleted: int = 0
    recordings_kept: int | None = None
    unknown: int | None = None
    errors: int = 0
    stopped: str = ""
    seconds: float = 0.0

    @property
    def did_something(self) -> bool:
        return bool(self.recordings_deleted or self.records_deleted)

    @property
    def problem(self) -> str:
        """What went wrong, in words; empty after a pass without errors."""
        if self.stopped:
            return f"the pass broke off: {self.stopped}"
        if self.errors:
            return f"files of {self.errors} tasks were not deleted; the next pass tries again"
        return ""

    def count_recording(self, task: TaskSnapshot) -> None:
        self.recordings_deleted += 1
        self.bytes_freed += task.bytes


class Retention:
    """One policy on one Redis and one store. Passes at the same time do no harm."""

    def __init__(
        self, keeping: RetentionIndex, sweeping: OrphanIndex, store: Store, policy: RetentionPolicy
    ) -> None:
        self._queue = keeping
        self._sweeping = sweeping
        self._store = store
        self._policy = policy

    async def run(self, *, dry_run: bool = False) -> Retained:
        """One pass. A Redis or store that goes away in the middle shows as `stopped`.

        Raises:
            QueueUnavailable, SchemaMismatch, StoreUnavailable: nothing was deleted.
            RetentionRefused: neither, as Redis and store carry different markers.
        """
        started = time.monotonic()
        await self._queue.ready()
        await self._require_pair()
        one = _Pass(self._queue, self._store, self._policy, Retained(dry_run))
        try:
            await one.records()
            await one.recordings()
        except DependencyError as error:
            one.told.stopped = error.message
        one.told.seconds = round(time.monotonic() - started, 3)
        return one.told

    async def _require_pair(self) -> None:
        """Records that go while their files lie in another store would leave those for ever."""
        in_store, in_redis = await epochs(self._sweeping, self._store)
        if in_store != in_redis:
            raise RetentionRefused(mismatch(self._store.url, in_store, in_redis))


class _Pass:
    """A pass under way, and what it tells."""

    def __init__(
        self, keeping: RetentionIndex, store: Store, policy: RetentionPolicy, told: Retained
    ) -> None:
        self._queue = keeping
        self._store = store
        self._policy = policy
        self._failures_in_a_row = 0
        self._log = get_logger("asr_core.retention")
        self.told = told

    async def records(self) -> None:
        """Whole tasks, by age."""
        if self._policy.results_max_age_ms is None:
            return
        until_ms = await self._queue.now_ms() - self._policy.results_max_age_ms
        async for tenant, state, ids in self._queue.finished(until_ms, _CHUNK):
            now_ms, known = await self._queue.look(ids)
            gone = [task for task in known.values() if self._policy.record_is_due(task, now_ms)]
            if self.told.dry_run:
                self.told.records_deleted += len(gone)
            else:
                gone = await self._erase(await self._queue.discard(gone), self._files)
                lost = [task_id for task_id in ids if task_id not in known]
                self.told.records_deleted += await self._queue.forget(
                    tenant, state, [task.task_id for task in gone] + lost
                )
            for task in gone:
                if not task.audio_deleted:
                    self.told.count_recording(task)
            self._require_store()

    async def recordings(self) -> None:
        """Recordings, by number and age. The store's listing says which there are."""
        if not self._policy.limits_recordings:
            return
        plan = RecordingPlan(self._policy)
        self.told.unknown = 0
        async with aclosing(self._recorded()) as chunks:
            async for task_ids in chunks:
                now_ms, known = await self._queue.look(task_ids)
                self.told.unknown += len(task_ids) - len(known)
                told = [plan.tell(task, now_ms) for task in known.values()]
                self.told.recordings_kept = plan.kept
                gone = [task for task in told if task is not None]
                if not self.told.dry_run:
                    free = await self._queue.discard(gone)
                    gone = await self._erase(free, self._recording)
                for task in gone:
                    self.told.count_recording(task)
                self._require_store()

    async def _recorded(self) -> AsyncGenerator[list[str], None]:
        """Whose recordings the store holds, in chunks and in no order."""
        chunk: list[str] = []
        async with aclosing(self._store.list("audio/")) as blobs:
            async for blob in blobs:
                chunk.append(blob.path.removeprefix("audio/"))
                if len(chunk) == _CHUNK:
                    yield chunk
                    chunk = []
        yield chunk

    async def _erase(
        self, tasks: Sequence[TaskSnapshot], files: Callable[[TaskSnapshot], Awaitable[None]]
    ) -> list[TaskSnapshot]:
        """Deletes files of some tasks at a time; returns the tasks whose files are gone."""
        gone: list[TaskSnapshot] = []
        waiting = iter(tasks)

        async def work() -> None:
            for task in waiting:
                if self._failures_in_a_row >= _GIVE_UP_AFTER:
                    return
                try:
                    await files(task)
                except DependencyError as error:
                    self._failures_in_a_row += 1
                    self.told.errors += 1
                    self._log.warning(
                        "files_not_deleted", task_id=task.task_id, reason=error.message
                    )
                else:
                    self._failures_in_a_row = 0
                    gone.append(task)

        await asyncio.gather(*(work() for _ in range(_AT_ONCE)))
        return gone

    async def _recording(self, task: TaskSnapshot) -> None:
        await self._store.delete(audio_path(task.task_id))

    async def _files(self, task: TaskSnapshot) -> None:
        await self._recording(task)
        await self._store.delete_prefix(results_prefix(task.task_id))

    def _require_store(self) -> None:
        if self._failures_in_a_row >= _GIVE_UP_AFTER:
            raise StoreUnavailable(
                f"the store refused {self._failures_in_a_row} deletions in a row; see the log"
            )
