"""Watches the platform from outside: every change of a task, and how long the dead keep tasks."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

import redis.asyncio

from asr_core.errors import AsrError
from asr_core.task import State
from chaos.ledger import Event, Ledger
from chaos.stage import Stage

LOOK_SECONDS = 0.2
_RECOVERY_SECONDS = 3.0
_FIELDS = ("state", "worker", "token")
_AWAY = (redis.exceptions.RedisError, OSError, AsrError)


@dataclass(eq=False)
class Orphan:
    """A task in the hands of a worker that died or fell silent at `since`.

    `waited_seconds` counts only while another worker was free and Redis was up and trusted.
    """

    task_id: str
    token: str
    worker: str
    pid: int
    since: float
    waited_seconds: float = 0.0
    claimed_at: float | None = None
    excused: str = ""

    @property
    def seconds(self) -> float:
        """From the death to the next claim, or to a result after all."""
        return (self.claimed_at or time.time()) - self.since


@dataclass(eq=False)
class Watcher:
    """Two loops: `listen` fills the ledger, `look` times orphans and who is free to take them."""

    stage: Stage
    ledger: Ledger
    orphans: list[Orphan] = field(default_factory=list)
    _excuse: str = ""
    _excuse_until: float = 0.0

    async def listen(self) -> None:
        """Record all that Redis publishes; what it says while it restarts is not heard."""
        keys = self.stage.connection.keys
        pattern = keys.changed("*")
        while True:
            try:
                async with self.stage.connection.pubsub_client.pubsub() as pubsub:
                    await pubsub.psubscribe(pattern)
                    async for message in pubsub.listen():
                        if message["type"] == "pmessage":
                            task_id = message["channel"].removeprefix(pattern[:-1])
                            event = Event(time.time(), message["data"])
                            self.ledger.changes[task_id].append(event)
            except _AWAY:
                await asyncio.sleep(0.05)

    async def bereave(self, worker: str, pid: int) -> int:
        """A worker has died or fallen silent: what it holds is watched until others have it."""
        since = time.time()
        async with asyncio.timeout(120):
            while True:
                with suppress(*_AWAY):
                    held = await self._held_by(worker)
                    break
                await asyncio.sleep(0.05)
        known = {(orphan.task_id, orphan.token) for orphan in self.orphans}
        new = [Orphan(i, t, worker, pid, since) for i, t in held if (i, t) not in known]
        if since < self._excuse_until:
            new = [replace(orphan, excused=self._excuse) for orphan in new]
        self.orphans += new
        return len(new)

    async def look(self) -> None:
        """Follow the orphans for ever."""
        then = time.monotonic()
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            with suppress(*_AWAY):
                await self._follow(time.monotonic() - then)
            then = time.monotonic()

    def excuse(self, reason: str, seconds: float) -> None:
        """What is open now, or becomes an orphan so soon, has a reason of its own to take long."""
        self._excuse, self._excuse_until = reason, time.time() + seconds
        for orphan in self.orphans:
            if orphan.claimed_at is None:
                orphan.excused = reason

    def redis_restarted(self) -> None:
        """Leases are trusted again after one lease: the clocks of orphans start anew."""
        for orphan in self.orphans:
            if orphan.claimed_at is None:
                orphan.waited_seconds = 0.0

    async def _follow(self, elapsed_seconds: float) -> None:
        waiting = [orphan for orphan in self.orphans if orphan.claimed_at is None]
        if not waiting:
            return
        free = await self._free_workers()
        states = await self.hashes([orphan.task_id for orphan in waiting], _FIELDS)
        for orphan, values in zip(waiting, states, strict=True):
            state, token = values["state"], values["token"]
            if not state or State(state).terminal or token != orphan.token:
                orphan.claimed_at = time.time()
            elif free - {orphan.pid}:
                orphan.waited_seconds += elapsed_seconds

    async def _free_workers(self) -> set[int | None]:
        """Processes of workers that run, are reachable, and have Redis and the store."""
        now, stage = time.time(), self.stage
        if now < stage.store_troubled_until or now < stage.redis_up_since:
            return set()
        at_work = await stage.ready_workers()
        return {
            one.program.pid
            for one in stage.workers
            if one.program.name in at_work
            and not one.program.stopped
            and now > one.troubled_until + _RECOVERY_SECONDS
        }

    async def _held_by(self, worker: str) -> list[tuple[str, str]]:
        """(task id, token) of what this worker has begun and not ended."""
        ids = await self.ids_in(State.PROCESSING)
        found = await self.hashes(ids, _FIELDS)
        return [
            (task_id, values["token"])
            for task_id, values in zip(ids, found, strict=True)
            if values["worker"] == worker and values["state"] == State.PROCESSING
        ]

    async def ids_in(self, state: State) -> list[str]:
        """All ids that the history knows in this state."""
        connection = self.stage.connection
        ids: list[str] = []
        for tenant in sorted(await connection.client.smembers(connection.keys.tenants)):
            ids += await connection.client.zrange(connection.keys.history(tenant, state), 0, -1)
        return ids

    async def hashes(self, ids: Sequence[str], names: Sequence[str]) -> list[dict[str, str]]:
        """Fields of tasks, empty where there is none."""
        if not ids:
            return []
        connection = self.stage.connection
        async with connection.client.pipeline(transaction=False) as pipe:
            for task_id in ids:
                pipe.hmget(connection.keys.task(task_id), list(names))
            rows: list[Any] = await pipe.execute()
        return [dict(zip(names, (v or "" for v in row), strict=True)) for row in rows]
