"""Queue depth as counts, and throughput as statistics buckets and totals."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Literal

import redis

from asr_core.keys import GROUP
from asr_core.queue.connection import RedisConnection, redis_errors
from asr_core.queue.record import pairs
from asr_core.queue.workers import WorkerRecord, list_workers
from asr_core.settings.queue import QueueSettings
from asr_core.task import DEFAULT_POOL, Lane

BUCKET_SECONDS = 10
TENANT_BUCKET_SECONDS = 60
_STRETCH_SECONDS = 3600
Signal = Literal["ok", "no_stream", "no_group"]


@dataclass(frozen=True)
class LaneBacklog:
    """One lane. `waiting` includes expired leases (`orphans`) and throttled tasks (`held`), not
    delayed retries.
    """

    waiting: int
    in_flight: int
    orphans: int
    held: int
    audio_seconds: float


@dataclass(frozen=True)
class Backlog:
    """A consistent snapshot of one pool, or of one tenant in it. `trusted` is False during the
    failover grace period, one lease after this Redis was first seen.

    `waiting` is undelivered + orphans (expired leases) + held (throttled) + delayed tasks that are
    due. `audio_seconds` covers every open task. An unreachable Redis raises, it is never zero.
    """

    pool: str
    signal: Signal
    run_id: str
    trusted: bool
    waiting: int
    in_flight: int
    orphans: int
    held: int
    delayed: int
    delayed_due: int
    dead: int
    audio_seconds: float
    oldest_wait_seconds: float
    lanes: dict[Lane, LaneBacklog]
    tenant: str | None = None


@dataclass(frozen=True)
class StatsBucket:
    """Ten seconds of one pool, or a minute of a tenant in it, beginning at `at` (Unix seconds).
    Histograms: see `counts.lua`.

    `arrivals` are tasks accepted or retried, so arrivals minus ends are open tasks.
    `fetching` is the net change of tasks that wait for their recording.
    """

    at: int
    arrivals: int = 0
    fetching: int = 0
    arrival_seconds: float = 0.0
    completed: int = 0
    failed: int = 0
    cancelled: int = 0
    retried: int = 0
    crashed: int = 0
    audio_seconds: float = 0.0
    speech_seconds: float = 0.0
    processing_seconds: float = 0.0
    wait_seconds: float = 0.0
    total_seconds: float = 0.0
    wait_histogram: dict[int, int] = field(default_factory=dict)
    total_histogram: dict[int, int] = field(default_factory=dict)

    @property
    def queued(self) -> int:
        """Tasks that came to the workers' queue, whose audio `arrival_seconds` counts."""
        return self.arrivals - self.fetching


@dataclass(frozen=True)
class Totals:
    """Since this Redis was first used; of a tenant since `since` (Unix seconds), None while it has
    brought nothing. An idle tenant's are forgotten after 400 days, as its usage.
    """

    submitted: int
    completed: int
    failed: int
    cancelled: int
    audio_seconds: float
    processing_seconds: float
    since: float | None = None
    speech_seconds: float = 0.0


class BacklogReader:
    """Read-only, except for the time at which a Redis was first seen."""

    def __init__(self, connection: RedisConnection, settings: QueueSettings) -> None:
        self._redis = connection
        self._settings = settings

    async def read(self, pool: str = DEFAULT_POOL, tenant: str | None = None) -> Backlog:
        """The pool's backlog, of all tenants or one. One script, O(1) in the depth. Raises
        `QueueUnavailable`.
        """
        signal, run_id, trusted, lanes, delayed, due, dead, oldest_ms = await self._redis.call(
            "backlog",
            pool=pool,
            lease_ms=round(self._settings.lease_seconds * 1000),
            **_of(tenant),
        )
        by_lane = {
            Lane(lane): LaneBacklog(
                undelivered + orphans + held, in_flight, orphans, held, ms / 1000
            )
            for lane, undelivered, in_flight, orphans, held, ms in lanes
        }
        return Backlog(
            pool=pool,
            signal=signal,
            run_id=run_id,
            trusted=bool(trusted),
            waiting=sum(lane.waiting for lane in by_lane.values()) + due,
            in_flight=sum(lane.in_flight for lane in by_lane.values()),
            orphans=sum(lane.orphans for lane in by_lane.values()),
            held=sum(lane.held for lane in by_lane.values()),
            delayed=delayed,
            delayed_due=due,
            dead=dead,
            audio_seconds=sum(lane.audio_seconds for lane in by_lane.values()),
            oldest_wait_seconds=max(0, oldest_ms) / 1000,
            lanes=by_lane,
            tenant=tenant,
        )

    async def workers(self, pool: str | None = None) -> list[WorkerRecord]:
        """Live workers of one pool, or of all configured ones."""
        pools = (pool,) if pool else self._settings.pools
        return [worker for name in pools for worker in await list_workers(self._redis, name)]

    async def in_flight(self, pool: str = DEFAULT_POOL) -> dict[str, int]:
        """Pending entries per consumer, exact, whereas heartbeats may be stale."""
        pending: dict[str, int] = {}
        with redis_errors():
            for lane in Lane:
                try:
                    reply = await self._redis.client.xpending(
                        self._redis.keys.stream(pool, lane), GROUP
                    )
                except redis.exceptions.ResponseError as error:
                    if not str(error).startswith("NOGROUP"):
                        raise
                    continue  # the stream or its group does not exist yet
                for each in reply["consumers"]:
                    pending[each["name"]] = pending.get(each["name"], 0) + each["pending"]
        return pending

    async def known_pools(self) -> list[str]:
        """The pools that the API was configured with, by name."""
        with redis_errors():
            return sorted(await self._redis.client.smembers(self._redis.keys.pools))

    async def stats(self, pool: str = DEFAULT_POOL, *, minutes: int = 60) -> list[StatsBucket]:
        """The last `minutes` (1440 at most), oldest first; empty buckets are left out."""
        return (await self.stats_and_open(pool, minutes=minutes))[0]

    async def stats_and_open(
        self, pool: str = DEFAULT_POOL, *, minutes: int = 60, tenant: str | None = None
    ) -> tuple[list[StatsBucket], int]:
        """`stats`, of all or of one tenant, and how many tasks were open at the moment when the
        newest was read.
        """
        step = bucket_seconds(tenant)
        with redis_errors():
            seconds, _ = await self._redis.client.time()
            last = seconds // step * step
        buckets: list[StatsBucket] = []
        open_tasks = 0
        first = last - min(minutes, 1440) * 60 + step
        for begin in range(first, last + 1, _STRETCH_SECONDS):
            end = min(begin + _STRETCH_SECONDS - step, last)
            reply = await self._redis.call(
                "stats", pool=pool, first=begin, last=end, step=step, **_of(tenant)
            )
            stats = json.loads(reply)
            buckets += [_bucket(at, pairs(flat)) for at, flat in stats["buckets"]]
            open_tasks = int(stats["open"])
        return buckets, open_tasks

    async def totals(self, tenant: str | None = None) -> Totals:
        """All-time counts, of all tenants or one."""
        keys = self._redis.keys
        key = keys.totals if tenant is None else keys.tenant_totals(tenant)
        with redis_errors():
            text: dict[str, str] = await self._redis.client.hgetall(key)
        return Totals(
            submitted=int(text.get("submitted", 0)),
            completed=int(text.get("completed", 0)),
            failed=int(text.get("failed", 0)),
            cancelled=int(text.get("cancelled", 0)),
            audio_seconds=int(text.get("audio_ms", 0)) / 1000,
            processing_seconds=int(text.get("processing_ms", 0)) / 1000,
            since=int(text["since"]) / 1000 if "since" in text else None,
            speech_seconds=int(text.get("speech_ms", 0)) / 1000,
        )


def bucket_seconds(tenant: str | None) -> int:
    """Width of a statistics bucket, for all tenants or one."""
    return BUCKET_SECONDS if tenant is None else TENANT_BUCKET_SECONDS


def _of(tenant: str | None) -> dict[str, str]:
    return {} if tenant is None else {"tenant": tenant}


def _bucket(at: int, text: dict[str, str]) -> StatsBucket:
    def number(name: str) -> int:
        return int(text.get(name, 0))

    def histogram(name: str) -> dict[int, int]:
        start = f"{name}:"
        return {int(k.removeprefix(start)): int(v) for k, v in text.items() if k.startswith(start)}

    return StatsBucket(
        at=at,
        arrivals=number("arrivals"),
        fetching=number("fetching"),
        arrival_seconds=number("arrival_ms") / 1000,
        completed=number("completed"),
        failed=number("failed"),
        cancelled=number("cancelled"),
        retried=number("retried"),
        crashed=number("crashed"),
        audio_seconds=number("audio_ms") / 1000,
        speech_seconds=number("speech_ms") / 1000,
        processing_seconds=number("processing_ms") / 1000,
        wait_seconds=number("wait_ms") / 1000,
        total_seconds=number("total_ms") / 1000,
        wait_histogram=histogram("wait"),
        total_histogram=histogram("total"),
    )
