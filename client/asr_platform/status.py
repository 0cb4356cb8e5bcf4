"""What the API reports about itself: queue, workers, statistics, usage, models, health.

As in `asr_platform.models`, unknown fields are kept and statuses are text.
"""

from __future__ import annotations

from datetime import date, datetime

from pydantic import Field

from asr_platform.models import Model


class LaneStatus(Model):
    """One lane of a pool, in tasks; `audio_seconds` is the length of what is open in it."""

    waiting: int = 0
    in_flight: int = 0
    orphans: int = 0
    held: int = 0
    audio_seconds: float = 0.0


class Worker(Model):
    """A live worker, as it last reported. `throughput` is in audio-seconds per second, 0 before it
    is measured; `problem` says why it takes no work.
    """

    name: str
    pool: str = ""
    slots: int = 0
    busy: int = 0
    in_flight_seconds: float = 0.0
    throughput: float = 0.0
    cordoned: bool = False
    model: str = ""
    engine: str = ""
    device: str = ""
    version: str = ""
    tasks_done: int = 0
    started_at: datetime | None = None
    cpu_percent: float | None = None
    memory_bytes: int | None = None
    gpu_percent: float | None = None
    gpu_memory_bytes: int | None = None
    gpu_memory_total_bytes: int | None = None
    problem: str | None = None


class QueueStatus(Model):
    """One pool, or what one tenant has in it (`tenant`): tasks by state, lanes by name, and its
    workers, None where the key may not see them. `serving` is `ok`, `none` (no worker is alive) or
    `blocked` (none takes work), `models` are those of the live workers. `features` is what each of
    them can do, or could before the last one ended: options of a task such as `task`, which means
    that it translates, and parts of a transcript such as `timestamps`.

    `signal` is `ok`, or `no_stream` and `no_group` before the first task; `orphans` have been
    begun, but their lease has expired; `held` tasks wait for their tenant's fair share, `delayed`
    ones for their backoff.
    """

    pool: str
    tenant: str | None = None
    signal: str = "ok"
    trusted: bool = True
    waiting: int = 0
    in_flight: int = 0
    orphans: int = 0
    held: int = 0
    delayed: int = 0
    delayed_due: int = 0
    dead: int = 0
    audio_seconds: float = 0.0
    oldest_wait_seconds: float = 0.0
    lanes: dict[str, LaneStatus] = Field(default_factory=dict)
    serving: str = ""
    models: tuple[str, ...] = ()
    features: tuple[str, ...] = ()
    workers: tuple[Worker, ...] | None = None


class Totals(Model):
    """Counts since this Redis was first used; of one tenant from `since` on."""

    since: datetime | None = None
    submitted: int = 0
    completed: int = 0
    failed: int = 0
    cancelled: int = 0
    audio_seconds: float = 0.0
    speech_seconds: float = 0.0
    processing_seconds: float = 0.0


class Percentiles(Model):
    """Seconds within which 50, 95 and 99 of a hundred tasks stayed, right to about a fifth."""

    p50: float
    p95: float
    p99: float


class Figures(Model):
    """What happened in a stretch of time. `wait` is from queued to begun, `total` from queued to
    the end; `real_time_factor` is processing by audio seconds. None: nothing to measure.
    """

    arrivals: int = 0
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
    wait: Percentiles | None = None
    total: Percentiles | None = None
    real_time_factor: float | None = None


class StatsPoint(Figures):
    """One stretch of `step_seconds`, from `at`; stretches without events are left out."""

    at: datetime


class PoolStats(Figures):
    """One pool over the window; `open`: tasks that have not ended."""

    open: int = 0
    points: tuple[StatsPoint, ...] = ()


class Stats(Model):
    """Totals, and each pool over the last `minutes`: of one tenant (`tenant`), or of all, whose
    names are then in `tenants`.
    """

    tenant: str | None = None
    tenants: tuple[str, ...] | None = None
    minutes: int
    step_seconds: int = 0
    totals: Totals = Totals()
    pools: dict[str, PoolStats] = Field(default_factory=dict)


class DayUsage(Model):
    """Completed tasks of one day, in UTC."""

    day: date
    tasks: int = 0
    audio_seconds: float = 0.0
    speech_seconds: float = 0.0


class TenantUsage(Model):
    """One tenant's days with completed tasks, and their sum."""

    tenant: str
    tasks: int = 0
    audio_seconds: float = 0.0
    speech_seconds: float = 0.0
    days: tuple[DayUsage, ...] = ()


class Usage(Model):
    """From the first day to the last, both included; tenants by name."""

    first: date
    last: date
    tenants: tuple[TenantUsage, ...] = ()


class ServedModel(Model):
    """A name under which `/v1/audio/transcriptions` knows a model or a pool."""

    id: str
    object: str = "model"
    created: int = 0
    owned_by: str = ""
    notice: str | None = None


class ServedModels(Model):
    """All of them."""

    object: str = "list"
    data: tuple[ServedModel, ...] = ()


class DependencyHealth(Model):
    """Redis or the store: `ok` or `unavailable`; `seconds` is how long the check took, None where
    the key may not see it.
    """

    status: str
    message: str = ""
    seconds: float | None = None


class WorkersHealth(Model):
    """`ok`, `none`, `blocked` (some take no work: `problems` says why) or `unknown`."""

    status: str
    alive: int | None = None
    blocked: int | None = None
    problems: tuple[str, ...] = ()


class DataHealth(Model):
    """Whether Redis still has the tasks of what is in the store: `ok`, `lost` or `unknown`."""

    status: str
    since: datetime | None = None
    recordings_without_task: int | None = None
    results_without_task: int | None = None


class EvictionHealth(Model):
    """Whether a full Redis evicts keys: `ok`, `warning`, `refused` or `unknown`."""

    status: str
    policy: str = ""
    evicted_keys: int | None = None
    message: str = ""


class Health(Model):
    """`ok`; `degraded`: submissions are accepted, something needs attention; or `unavailable`.

    With keys on, only one with the scope `admin` is told more than each `status`.
    """

    status: str
    redis: DependencyHealth
    store: DependencyHealth
    workers: WorkersHealth
    data: DataHealth | None = None
    eviction: EvictionHealth | None = None
