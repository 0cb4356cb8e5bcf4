"""Producer side: submit, read, cancel, retry, delete, history, dead letters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from asr_core.errors import (
    AudioGone,
    IdempotencyConflict,
    QueueFull,
    QuotaExceeded,
    StateConflict,
    TaskNotFound,
    TooManyOpenTasks,
)
from asr_core.queue.connection import RedisConnection, redis_errors
from asr_core.queue.record import from_hash, pairs, to_hash
from asr_core.queue.tenants import NO_LIMITS
from asr_core.queue.waiters import Waiter
from asr_core.settings.queue import QueueSettings
from asr_core.task import NewTask, State, Task
from asr_core.text_limits import shortened


@dataclass(frozen=True)
class Submission:
    """`created` is False for a replay of an idempotency key or id. `position` is within the
    tenant's own tasks; `options_ignored` are requested options that the model does not support.
    """

    task_id: str
    created: bool
    state: State
    position: int
    options_ignored: tuple[str, ...] = ()


@dataclass(frozen=True)
class HistoryPage:
    """Newest first; `next_cursor` is empty at the end."""

    tasks: list[Task]
    next_cursor: str


@dataclass(frozen=True)
class DeadLetter:
    """A task that failed permanently after crashes or transient failures."""

    task: Task
    reason: str
    died_at: float


@dataclass(frozen=True)
class DeadLetterPage:
    """Oldest first; `next_cursor` is empty at the end."""

    letters: list[DeadLetter]
    next_cursor: str


class Producer:
    """Submits and manages tasks. Every method raises `QueueUnavailable` while Redis is
    unavailable. `limits` are those of a tenant that has none of its own: `default_limits`.
    """

    def __init__(
        self,
        connection: RedisConnection,
        settings: QueueSettings,
        limits: Mapping[str, int] = NO_LIMITS,
    ) -> None:
        self._redis = connection
        self._keys = connection.keys
        self._settings = settings
        self._limits = limits

    async def prepare(self) -> None:
        """Checks the schema, makes the groups and records the configured pools; safe to repeat."""
        await self._redis.prepare(self._settings.pools, publish=True)

    async def submit(self, task: NewTask, waiter: Waiter | None = None) -> Submission:
        """Queues a task whose audio is already in the store, or that names where to fetch it. A
        `waiter` is registered for it, or for an equal run in progress; then this one is not queued.

        Raises:
            QueueFull: the pool is at its cap.
            IdempotencyConflict: the key was used with another body.
            StateConflict: the task was deleted meanwhile.
            TooManyOpenTasks, QuotaExceeded: the tenant is at its limit.
        """
        reply, task_id, position = await self._redis.call(
            "submit",
            task=to_hash(task),
            cap=self._settings.queue_cap,
            limits=self._limits,
            window=self._settings.tenant_window,
            idempotency_ms=round(self._settings.idempotency_hours * 3_600_000),
            **({"caller": waiter.terms()} if waiter else {}),
        )
        if reply == "full":
            raise self._full(task.pool)
        self._require_limit(reply, task_id, position)
        if reply == "conflict":
            raise IdempotencyConflict(
                f"idempotency key {shortened(task.idempotency_key)} was used for task {task_id}, "
                "with another body",
                param="Idempotency-Key",
            )
        if reply == "deleted":
            raise StateConflict(f"task {task_id} was deleted while it was being submitted")
        if reply == "created":
            state = State.FETCHING if task.source_url else State.QUEUED
            return Submission(task_id, True, state, position)
        known = await self.get(task_id)
        return Submission(task_id, False, known.state, await self.position(known) or 0)

    async def require_room(self, tenant: str) -> None:
        """Before an upload. Raises TooManyOpenTasks or QuotaExceeded as `submit` would."""
        self._require_limit(
            *await self._redis.call("tenant_room", tenant=tenant, limits=self._limits)
        )

    async def get(self, task_id: str, tenant: str | None = None) -> Task:
        """Raises `TaskNotFound`, also for another tenant's task."""
        with redis_errors():
            fields = await self._hash(task_id)
        if not fields or (tenant is not None and fields["tenant"] != tenant):
            raise _not_found(task_id)
        return from_hash(fields)

    async def position(self, task: Task) -> int | None:
        """One-based position among its tenant's waiting tasks in the pool and lane; None if it does
        not wait. Other tenants' tasks are not disclosed.
        """
        if task.state is not State.QUEUED:
            return None
        return int(await self._redis.call("place", task_id=task.task_id)) or None

    async def find_idempotent(self, tenant: str, idempotency_key: str) -> tuple[str, str] | None:
        """The (task id, fingerprint) that a key stands for, if any."""
        key = self._keys.idempotency(tenant, idempotency_key)
        with redis_errors():
            task_id, fingerprint = await self._redis.client.hmget(key, ["task_id", "fingerprint"])
        return (task_id, fingerprint or "") if task_id else None

    async def cancel(self, task_id: str, tenant: str | None = None) -> Task:
        """Raises `StateConflict` for a completed or failed task; a cancelled one stays so."""
        reply, state = await self._redis.call("cancel", task_id=task_id, tenant=tenant or "")
        self._require(reply, task_id, f"task is {state} and can no longer be cancelled")
        return await self.get(task_id)

    async def retry(self, task_id: str, tenant: str | None = None) -> Task:
        """Raises `StateConflict` unless the task is failed or cancelled, `QueueFull` at the cap,
        `AudioGone` once retention has given up its recording, `TooManyOpenTasks`.
        """
        return await self._requeue(task_id, tenant, dead_only=False)

    async def redrive(self, task_id: str) -> Task:
        """Requeue a dead letter with its counters reset. Raises `StateConflict` for others,
        `AudioGone` once retention has given up its recording.
        """
        return await self._requeue(task_id, None, dead_only=True)

    async def delete(self, task_id: str, tenant: str | None = None) -> Task:
        """Cancels if need be and removes the record; the caller then deletes the blobs.

        Returns the task as it was after cancelling.
        """
        reply, flat = await self._redis.call("delete", task_id=task_id, tenant=tenant or "")
        self._require(reply, task_id, "")
        return from_hash(pairs(flat))

    async def history(
        self, *, tenant: str, state: State | None = None, cursor: str = "", limit: int = 50
    ) -> HistoryPage:
        """A whole page; `history_ids` and `tasks` read it incrementally."""
        ids, next_cursor = await self.history_ids(
            tenant=tenant, state=state, cursor=cursor, limit=limit
        )
        return HistoryPage(list((await self.tasks(ids)).values()), next_cursor)

    async def history_ids(
        self, *, tenant: str, state: State | None = None, cursor: str = "", limit: int = 50
    ) -> tuple[list[str], str]:
        """Newest first, and the next cursor, empty at the end. Ids are UUIDv7, so their lexical
        order is their age.
        """
        key = self._keys.history(tenant, state or "")
        newest = f"({cursor}" if cursor else "+"
        with redis_errors():
            ids: list[str] = await self._redis.client.zrevrangebylex(
                key, newest, "-", start=0, num=limit + 1
            )
        return ids[:limit], ids[limit - 1] if len(ids) > limit else ""

    async def tasks(self, task_ids: Sequence[str]) -> dict[str, Task]:
        """Records by id, in the given order; deleted ones are omitted."""
        with redis_errors():
            hashes = await self._hashes(task_ids)
        found = zip(task_ids, hashes, strict=True)
        return {task_id: from_hash(fields) for task_id, fields in found if fields}

    async def dead_letters(self, *, cursor: str = "", limit: int = 50) -> DeadLetterPage:
        """Dead letters with their reason."""
        with redis_errors():
            entries = await self._redis.client.xrange(
                self._keys.dead, min=f"({cursor}" if cursor else "-", count=limit + 1
            )
            hashes = await self._hashes([fields["task_id"] for _, fields in entries[:limit]])
        letters = [
            DeadLetter(from_hash(fields), entry["reason"], int(entry_id.split("-")[0]) / 1000)
            for (entry_id, entry), fields in zip(entries[:limit], hashes, strict=True)
            if fields
        ]
        return DeadLetterPage(letters, entries[limit - 1][0] if len(entries) > limit else "")

    async def _requeue(self, task_id: str, tenant: str | None, *, dead_only: bool) -> Task:
        reply, state, *stands = await self._redis.call(
            "retry",
            task_id=task_id,
            tenant=tenant or "",
            dead_only=dead_only,
            limits=self._limits,
            cap=self._settings.queue_cap,
            window=self._settings.tenant_window,
        )
        self._require_limit(reply, state, *stands)
        what = (
            "is not a dead letter"
            if dead_only
            else "only a failed or cancelled task can be retried"
        )
        self._require(reply, task_id, f"task is {state}: {what}")
        return await self.get(task_id)

    async def _hash(self, task_id: str) -> dict[str, str]:
        fields: dict[str, str] = await self._redis.client.hgetall(self._keys.task(task_id))
        return fields

    async def _hashes(self, task_ids: Sequence[str]) -> list[dict[str, str]]:
        if not task_ids:
            return []
        async with self._redis.client.pipeline(transaction=False) as pipe:
            for task_id in task_ids:
                pipe.hgetall(self._keys.task(task_id))
            hashes: list[dict[str, str]] = await pipe.execute()
        return hashes

    def _full(self, pool: str) -> QueueFull:
        return QueueFull(f"pool {pool!r} is full: try again when other tasks have ended")

    @staticmethod
    def _require_limit(reply: str, limit: object = 0, stands: object = 0) -> None:
        """Raise for the replies of `over_limit`."""
        if reply == "busy":
            raise TooManyOpenTasks(
                f"you have {stands} open tasks and may have {limit}: wait until one ends"
            )
        if reply == "quota":
            raise QuotaExceeded(
                f"your recordings use {stands} bytes and may use {limit}: delete tasks that you no "
                "longer need, or ask for a higher quota"
            )

    def _require(self, reply: str, task_id: str, conflict: str) -> None:
        if reply == "missing":
            raise _not_found(task_id)
        if reply == "conflict":
            raise StateConflict(conflict)
        if reply == "gone":
            raise AudioGone(f"the audio of task {task_id} has been deleted; it cannot run again")
        if reply == "full":
            raise QueueFull("the pool is full: try again when other tasks have ended")


def _not_found(task_id: str) -> TaskNotFound:
    return TaskNotFound(f"there is no task {shortened(task_id)}")
