"""Retention: deletes recordings by number and age, and whole tasks by age.

Only finished tasks, in an order that can be interrupted anywhere: a task is marked, which prevents
requeueing; then its files are deleted; its record last, so that the next pass finds what is left.
Orphaned blobs are left to the sweep.
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
    """The result of one pass; in a dry run, what it would delete.

    `recordings_deleted` and `bytes_freed` include recordings deleted with their record.
    `recordings_kept` counts finished tasks' recordings, `unknown` orphaned blobs; both are None if
    no limit on recordings required a listing.
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
        """A description of the errors; empty if there were none."""
        if self.stopped:
            return f"the pass broke off: {self.stopped}"
        if self.errors:
            return f"files of {self.errors} tasks were not deleted; the next pass tries again"
        return ""

    def count_recording(self, task: TaskSnapshot) -> None:
        self.recordings_deleted += 1
        self.bytes_freed += task.bytes


class Retention:
    """One policy on one Redis and one store. Concurrent passes are safe."""

    def __init__(
        self, index: RetentionIndex, orphans: OrphanIndex, store: Store, policy: RetentionPolicy
    ) -> None:
        self._index = index
        self._orphans = orphans
        self._store = store
        self._policy = policy

    async def run(self, *, dry_run: bool = False) -> Retained:
        """One pass. An outage during the pass is reported in `stopped`.

        Raises:
            QueueUnavailable, SchemaMismatch, StoreUnavailable: nothing was deleted.
            RetentionRefused: neither, as Redis and store carry different markers.
        """
        started = time.monotonic()
        await self._index.ready()
        await self._require_pair()
        one = _Pass(self._index, self._store, self._policy, Retained(dry_run))
        try:
            await one.records()
            await one.recordings()
        except DependencyError as error:
            one.result.stopped = error.message
        one.result.seconds = round(time.monotonic() - started, 3)
        return one.result

    async def _require_pair(self) -> None:
        """With the wrong store, records would be deleted and their files never."""
        in_store, in_redis = await epochs(self._orphans, self._store)
        if in_store != in_redis:
            raise RetentionRefused(mismatch(self._store.url, in_store, in_redis))


class _Pass:
    """A running pass and its result."""

    def __init__(
        self, index: RetentionIndex, store: Store, policy: RetentionPolicy, result: Retained
    ) -> None:
        self._index = index
        self._store = store
        self._policy = policy
        self._failures_in_a_row = 0
        self._log = get_logger("asr_core.retention")
        self.result = result

    async def records(self) -> None:
        """Delete whole tasks by age."""
        if self._policy.results_max_age_ms is None:
            return
        until_ms = await self._index.now_ms() - self._policy.results_max_age_ms
        async for tenant, state, ids in self._index.finished(until_ms, _CHUNK):
            now_ms, known = await self._index.snapshots(ids)
            gone = [task for task in known.values() if self._policy.record_is_due(task, now_ms)]
            if self.result.dry_run:
                self.result.records_deleted += len(gone)
            else:
                gone = await self._erase(await self._index.discard(gone), self._files)
                lost = [task_id for task_id in ids if task_id not in known]
                self.result.records_deleted += await self._index.forget(
                    tenant, state, [task.task_id for task in gone] + lost
                )
            for task in gone:
                if not task.audio_deleted:
                    self.result.count_recording(task)
            self._require_store()

    async def recordings(self) -> None:
        """Delete recordings by number and age, from the store's listing."""
        if not self._policy.limits_recordings:
            return
        plan = RecordingPlan(self._policy)
        self.result.unknown = 0
        async with aclosing(self._recorded()) as chunks:
            async for task_ids in chunks:
                now_ms, known = await self._index.snapshots(task_ids)
                self.result.unknown += len(task_ids) - len(known)
                due = [plan.tell(task, now_ms) for task in known.values()]
                self.result.recordings_kept = plan.kept
                gone = [task for task in due if task is not None]
                if not self.result.dry_run:
                    free = await self._index.discard(gone)
                    gone = await self._erase(free, self._recording)
                for task in gone:
                    self.result.count_recording(task)
                self._require_store()

    async def _recorded(self) -> AsyncGenerator[list[str], None]:
        """Ids of tasks with a recording in the store, in chunks, unordered."""
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
        """Delete files concurrently; returns the tasks whose files were deleted."""
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
                    self.result.errors += 1
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
