"""The bodies of replies about the queue, the workers and what they did."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Literal

from pydantic import BaseModel, Field

from asr_api.bodies import utc
from asr_core.queue import Backlog, Totals, WorkerRecord
from asr_core.task import Lane


class LaneBody(BaseModel):
    """One lane of a pool."""

    waiting: int
    in_flight: int
    orphans: int
    held: int
    audio_seconds: float


class WorkerBody(BaseModel):
    """A live worker, as it last told of itself."""

    name: str
    slots: int
    busy: int
    in_flight_seconds: float
    throughput: float = Field(description="audio-seconds per second, measured; 0: not measured yet")
    cordoned: bool
    model: str
    engine: str
    device: str
    version: str
    tasks_done: int
    started_at: datetime

    @classmethod
    def of(cls, record: WorkerRecord) -> WorkerBody:
        return cls(
            name=record.worker,
            slots=record.slots,
            busy=record.busy,
            in_flight_seconds=record.in_flight_seconds,
            throughput=record.throughput,
            cordoned=record.cordoned,
            model=record.model,
            engine=record.engine,
            device=record.device,
            version=record.version,
            tasks_done=record.tasks_done,
            started_at=utc(record.started_at),
        )


class QueueStatusBody(BaseModel):
    """One pool. An unreachable Redis is a 503, never zeros."""

    pool: str
    signal: Literal["ok", "no_stream", "no_group"] = Field(
        description="`no_stream`, `no_group`: nothing was submitted, or no group made, yet"
    )
    trusted: bool = Field(description="false within one lease of first seeing this Redis")
    waiting: int = Field(description="undelivered, orphaned, held, and delayed tasks that are due")
    in_flight: int
    orphans: int = Field(description="begun, but their lease has run out")
    held: int = Field(description="waiting behind their tenant's fair share")
    delayed: int = Field(description="waiting for their backoff to end")
    delayed_due: int
    dead: int
    audio_seconds: float = Field(description="of every open task")
    oldest_wait_seconds: float
    lanes: dict[Lane, LaneBody]
    workers: list[WorkerBody]

    @classmethod
    def of(cls, backlog: Backlog, workers: Iterable[WorkerRecord]) -> QueueStatusBody:
        lanes = {
            lane: LaneBody(
                waiting=one.waiting,
                in_flight=one.in_flight,
                orphans=one.orphans,
                held=one.held,
                audio_seconds=one.audio_seconds,
            )
            for lane, one in backlog.lanes.items()
        }
        return cls(
            pool=backlog.pool,
            signal=backlog.signal,
            trusted=backlog.trusted,
            waiting=backlog.waiting,
            in_flight=backlog.in_flight,
            orphans=backlog.orphans,
            held=backlog.held,
            delayed=backlog.delayed,
            delayed_due=backlog.delayed_due,
            dead=backlog.dead,
            audio_seconds=backlog.audio_seconds,
            oldest_wait_seconds=backlog.oldest_wait_seconds,
            lanes=lanes,
            workers=[WorkerBody.of(record) for record in workers],
        )


class TotalsBody(BaseModel):
    """Since this Redis was first used."""

    submitted: int
    completed: int
    failed: int
    cancelled: int
    audio_seconds: float
    processing_seconds: float

    @classmethod
    def of(cls, totals: Totals) -> TotalsBody:
        return cls(
            submitted=totals.submitted,
            completed=totals.completed,
            failed=totals.failed,
            cancelled=totals.cancelled,
            audio_seconds=totals.audio_seconds,
            processing_seconds=totals.processing_seconds,
        )


class StatsPoint(BaseModel):
    """What happened in one stretch of time; a stretch without events is left out."""

    at: datetime
    arrivals: int
    arrival_seconds: float
    completed: int
    failed: int
    cancelled: int
    retried: int
    audio_seconds: float
    processing_seconds: float
    wait_seconds: float = Field(description="sum over the tasks that began")


class PoolStatsBody(BaseModel):
    """One pool over the window asked for."""

    arrivals: int
    arrival_seconds: float
    completed: int
    failed: int
    cancelled: int
    retried: int
    audio_seconds: float
    processing_seconds: float
    wait_seconds: float
    real_time_factor: float | None = Field(
        description="processing ÷ audio seconds; null: nothing finished"
    )
    points: list[StatsPoint]


class StatsBody(BaseModel):
    """Totals, and per pool the last minutes."""

    minutes: int
    totals: TotalsBody
    pools: dict[str, PoolStatsBody]
