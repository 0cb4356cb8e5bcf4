"""The plan's input as plain data: queue, workers and pods at one tick, and the history. No I/O.

All times are Unix seconds of one clock (`Observation.now`); only differences are used. Audio is in
audio-seconds, throughput in audio-seconds per second.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

# Period that `QueueObservation.arrivals` covers: `BacklogReader.stats(pool, minutes=5)`.
ARRIVALS_MINUTES = 5


class Signal(StrEnum):
    """State of the queue: `NO_STREAM` and `NO_GROUP` mean empty, `UNREACHABLE` means unknown."""

    OK = "ok"
    NO_STREAM = "no_stream"
    NO_GROUP = "no_group"
    UNREACHABLE = "unreachable"


@dataclass(frozen=True)
class Arrivals:
    """Submissions in the ten seconds from `at` on (`StatsBucket`); the last one may be partial."""

    at: float
    tasks: int
    audio_seconds: float


@dataclass(frozen=True)
class QueueObservation:
    """The backlog of the pool, from `asr_core.queue.Backlog`.

    `waiting` counts undelivered, throttled and due delayed tasks, and those whose lease expired;
    `delayed` counts all tasks in backoff, due or not. `audio_seconds` is that of every open task,
    in flight included. `error` says why the signal is `UNREACHABLE`; all numbers are then invalid.
    `trusted` is False during the failover grace period: one task lease from the first read of this
    Redis (a new run id).
    """

    signal: Signal = Signal.OK
    trusted: bool = True
    waiting: int = 0
    in_flight: int = 0
    orphans: int = 0
    delayed: int = 0
    delayed_due: int = 0
    oldest_wait_seconds: float = 0.0
    audio_seconds: float = 0.0
    arrivals: tuple[Arrivals, ...] = ()
    error: str = ""

    @classmethod
    def unreachable(cls, error: str) -> QueueObservation:
        """Redis could not be read."""
        return cls(signal=Signal.UNREACHABLE, trusted=False, error=error)


@dataclass(frozen=True)
class WorkerObservation:
    """One worker process, from its heartbeat (`WorkerRecord`). A pod may hold several.

    `busy` is its number of tasks in flight: the larger of the heartbeat's count (up to ten seconds
    old) and the entries pending for it now. `in_flight_seconds` is the audio left in these tasks.
    `throughput` is 0 until something was measured. `model` and `device` (`cpu`, `cuda`) are what
    the worker reports.
    """

    consumer: str
    pod: str
    busy: int = 0
    slots: int = 0
    in_flight_seconds: float = 0.0
    throughput: float = 0.0
    startup_seconds: float = 0.0
    cordoned: bool = False
    model: str = ""
    device: str = ""


class PodState(StrEnum):
    """`STARTING` is scheduled but not ready; `UNSCHEDULABLE` has no node."""

    READY = "ready"
    STARTING = "starting"
    UNSCHEDULABLE = "unschedulable"
    TERMINATING = "terminating"


@dataclass(frozen=True)
class PodObservation:
    """One pod of the Deployment. `startup_seconds` is from its creation to its first Ready.

    `template` is the hash of its pod template (its label `pod-template-hash`). `fetch_seconds` is
    what a download of the model into a volume that pods share has taken of its age so far: the next
    pods find it there.
    """

    name: str
    state: PodState
    age_seconds: float = 0.0
    startup_seconds: float | None = None
    template: str = ""
    fetch_seconds: float = 0.0


@dataclass(frozen=True)
class Measurement:
    """Measured throughput and start-up of one pod template; 0: not measured.

    `throughput` is in audio-seconds per second and pod. `model` and `device` are those that the
    pods reported at the time.
    """

    template: str
    model: str = ""
    device: str = ""
    throughput: float = 0.0
    startup_seconds: float = 0.0


@dataclass(frozen=True)
class Hold:
    """A guard that was found outside of the plan: another pool owns the Deployment, its workers
    serve another pool, … `condition` is a condition's type (`Conflict`, `PoolMismatch`)."""

    condition: str
    reason: str
    message: str


@dataclass(frozen=True)
class Observation:
    """Everything that was read in one tick.

    `replicas` is the Deployment's `spec.replicas`; `written` is the number that this operator wrote
    last (None: never). `template` is the hash of the current pod template; `model` and `gpu` come
    from its environment and resources. `measurements` come from the WorkerPool's status, so that
    they survive zero workers and restarts of the operator.
    """

    now: float
    queue: QueueObservation
    replicas: int
    workers: tuple[WorkerObservation, ...] = ()
    pods: tuple[PodObservation, ...] = ()
    written: int | None = None
    template: str = ""
    model: str = ""
    gpu: bool = False
    measurements: tuple[Measurement, ...] = ()
    hold: Hold | None = None

    @property
    def ready(self) -> int:
        """Number of ready pods."""
        return sum(pod.state is PodState.READY for pod in self.pods)


@dataclass(frozen=True)
class Desire:
    """Replicas that the work alone asked for, at one time."""

    at: float
    replicas: int


@dataclass(frozen=True)
class History:
    """State between ticks, in memory only: a restart may lose it at any time.

    With an empty history nothing is scaled down before a whole down-window was observed.
    `signal_lost_at` can be restored from the status (since when `SignalAvailable` is False).
    `highs` and `lows` are the desires that can still be the largest or smallest of their window.
    """

    at: float | None = None
    watching_since: float | None = None
    highs: tuple[Desire, ...] = ()
    lows: tuple[Desire, ...] = ()
    signal_lost_at: float | None = None
    measurements: tuple[Measurement, ...] = ()
    capacity_retry_at: float | None = None
    foreign_replicas: int | None = None
    last_conflict_at: float | None = None
    conflicts: int = 0
