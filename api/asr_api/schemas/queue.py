"""The bodies of replies about the queue, the workers and what they did."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from pydantic import BaseModel, Field

from asr_api.schemas.tasks import utc
from asr_core.queue import Backlog, ServedModel, Totals, WorkerRecord
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

    name: str = Field(description="its pod, or how it was named")
    pool: str
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
    cpu_percent: float | None = Field(
        description="of the process and its decoders; 100: one processor; null: unknown"
    )
    memory_bytes: int | None = Field(description="resident, of the process and its decoders")
    gpu_percent: float | None = Field(description="GPU utilisation; null: none, or unknown")
    gpu_memory_bytes: int | None = Field(description="in use on the GPU, by whomever")
    gpu_memory_total_bytes: int | None
    problem: str | None = Field(
        description="why it takes no work, such as a full disk; null: it does, or is not known"
    )

    @classmethod
    def of(cls, record: WorkerRecord) -> WorkerBody:
        return cls(
            name=record.worker,
            pool=record.pool,
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
            cpu_percent=record.cpu_percent,
            memory_bytes=record.memory_bytes,
            gpu_percent=record.gpu_percent,
            gpu_memory_bytes=record.gpu_memory_bytes,
            gpu_memory_total_bytes=record.gpu_memory_total_bytes,
            problem=record.problem,
        )


class QueueStatusBody(BaseModel):
    """One pool, or what one tenant has in it. An unreachable Redis is a 503, never zeros."""

    pool: str
    tenant: str | None = Field(description="whose tasks these are; null: everybody's")
    signal: Literal["ok", "no_stream", "no_group"] = Field(
        description="`no_stream`, `no_group`: nothing was submitted yet, or no group created yet"
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
    serving: Literal["ok", "none", "blocked"] = Field(
        description="`none`: no worker is alive, tasks wait for one; `blocked`: none "
        "of them takes work"
    )
    models: list[str] = Field(description="of the live workers, by name")
    features: list[str] = Field(
        description="options of a task, and parts of a transcript, that each of the live workers "
        "has, or of the last ones: `task` means that they translate; empty: not known, or none"
    )
    workers: list[WorkerBody] | None = Field(
        description="null: the load of all tenants is shown only to the scope `admin`"
    )

    @classmethod
    def of(
        cls,
        backlog: Backlog,
        workers: Sequence[WorkerRecord],
        served: Sequence[ServedModel],
        *,
        is_operator: bool,
    ) -> QueueStatusBody:
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
            tenant=backlog.tenant,
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
            serving=_serving(workers),
            models=sorted({record.model for record in workers}),
            features=sorted(frozenset.intersection(*(one.features for one in served)))
            if served
            else [],
            workers=[WorkerBody.of(record) for record in workers] if is_operator else None,
        )


def _serving(workers: Sequence[WorkerRecord]) -> Literal["ok", "none", "blocked"]:
    if not workers:
        return "none"
    return "blocked" if all(record.problem for record in workers) else "ok"


class TotalsBody(BaseModel):
    """Since this Redis was first used; of one tenant since `since`."""

    since: datetime | None = Field(
        description="of one tenant: when its first task was counted; null for all, and while it "
        "has none. Totals restart after 400 days without a task"
    )

    submitted: int
    completed: int
    failed: int
    cancelled: int
    audio_seconds: float
    speech_seconds: float = Field(description="of which somebody speaks")
    processing_seconds: float

    @classmethod
    def of(cls, totals: Totals) -> TotalsBody:
        return cls(
            since=None if totals.since is None else utc(totals.since),
            submitted=totals.submitted,
            completed=totals.completed,
            failed=totals.failed,
            cancelled=totals.cancelled,
            audio_seconds=totals.audio_seconds,
            speech_seconds=totals.speech_seconds,
            processing_seconds=totals.processing_seconds,
        )


class Percentiles(BaseModel):
    """Seconds that 50, 95 and 99 of a hundred tasks stayed within; buckets grow by a half power of
    two, so a figure is right to about a fifth.
    """

    p50: float
    p95: float
    p99: float


class Figures(BaseModel):
    """What happened in some stretch of time."""

    arrivals: int = Field(
        description="tasks accepted or retried, those still to be fetched included"
    )
    arrival_seconds: float = Field(description="audio of those that entered the workers' queue")
    completed: int
    failed: int
    cancelled: int
    retried: int
    crashed: int = Field(description="times a task was taken back from a worker that had died")
    audio_seconds: float
    speech_seconds: float = Field(description="of which somebody speaks")
    processing_seconds: float
    wait_seconds: float = Field(description="sum over the tasks that began")
    wait: Percentiles | None = Field(
        description="from queued to started, of started tasks; null: none started"
    )
    total: Percentiles | None = Field(
        description="from queued to the end, of ended tasks; null: none ended"
    )
    real_time_factor: float | None = Field(
        description="processing ÷ audio seconds; null: nothing finished"
    )


class StatsPoint(Figures):
    """One stretch of `step_seconds`; one without events is left out."""

    at: datetime


class PoolStatsBody(Figures):
    """One pool over the window asked for."""

    open: int = Field(
        description="tasks that have not ended, at the end of the window: what arrived and what "
        "ended since tells how many there were before"
    )
    points: list[StatsPoint]


class StatsBody(BaseModel):
    """Totals, and per pool the last minutes: of one tenant, or of all together."""

    tenant: str | None = Field(description="whose tasks these are; null: everybody's")
    tenants: list[str] | None = Field(
        description="names of all tenants with tasks, where the figures are of all tenants"
    )
    minutes: int
    step_seconds: int = Field(description="time span of one point")
    totals: TotalsBody
    pools: dict[str, PoolStatsBody]
