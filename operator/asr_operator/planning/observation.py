"""What one tick has seen: plain data, gathered by the rooms that touch Redis and the cluster.

All times are Unix seconds of one clock (`Observation.now`); only their differences count. Audio is
in audio-seconds, throughput in audio-seconds per second. Nothing here reads anything.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

# How far back `QueueSeen.arrivals` should reach: `BacklogReader.stats(pool, minutes=5)`.
ARRIVALS_MINUTES = 5


class Signal(StrEnum):
    """The state of the queue. `NO_STREAM` and `NO_GROUP` are honest zeros, the last is none."""

    OK = "ok"
    NO_STREAM = "no_stream"
    NO_GROUP = "no_group"
    UNREACHABLE = "unreachable"


@dataclass(frozen=True)
class Arrivals:
    """What was submitted in the ten seconds from `at` on (`StatsBucket`); the last may go on."""

    at: float
    tasks: int
    audio_seconds: float


@dataclass(frozen=True)
class QueueSeen:
    """The backlog of the pool, as `asr_core.queue.Backlog` has it.

    `waiting` counts undelivered, orphaned, held and due delayed tasks; `delayed` counts all that
    back off, due or not. `audio_seconds` is that of every open task, in flight included.
    `error` says why the signal is `UNREACHABLE`; the numbers mean nothing then.
    `trusted` is False within one lease of first seeing this Redis (a new run id).
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
    def unreachable(cls, error: str) -> QueueSeen:
        """Redis could not be read."""
        return cls(signal=Signal.UNREACHABLE, trusted=False, error=error)


@dataclass(frozen=True)
class WorkerSeen:
    """One worker process by its heartbeat (`WorkerRecord`). A pod may hold several.

    `busy` is its tasks in hand: the larger of what the heartbeat says (ten seconds old) and what is
    pending for it now. `in_flight_seconds` is the audio that is left of them. `throughput` is 0
    while nothing has been measured. `pod` is the name of its pod. `model` and `device` (`cpu`,
    `cuda`) are what it says it runs.
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
class PodSeen:
    """One pod of the Deployment. `startup_seconds` is from its creation to its first Ready.

    `template` is the hash of the pod template it was made from (its label `pod-template-hash`).
    """

    name: str
    state: PodState
    age_seconds: float = 0.0
    startup_seconds: float | None = None
    template: str = ""


@dataclass(frozen=True)
class Measurement:
    """What the pods of one template were measured at; 0 is not measured.

    `throughput` is in audio-seconds per second and pod. `model` and `device` are those that the
    pods said they ran at the time.
    """

    template: str
    model: str = ""
    device: str = ""
    throughput: float = 0.0
    startup_seconds: float = 0.0


@dataclass(frozen=True)
class Hold:
    """Why the plan must not act, found outside of it: another pool owns the Deployment, its workers
    serve another pool, … `condition` is a condition's type (`Conflict`, `PoolMismatch`)."""

    condition: str
    reason: str
    message: str


@dataclass(frozen=True)
class Observation:
    """One tick.

    `replicas` is the Deployment's `spec.replicas`; `written` the number that this operator wrote
    last, from its annotation on the Deployment (None: never). `template` is the hash of the
    template that a new pod is made from; `model` and `gpu` are what its environment and resources
    say. `measurements` are those that `status` remembers, so that zero workers or a restart of the
    operator forget nothing.
    """

    now: float
    queue: QueueSeen
    replicas: int
    workers: tuple[WorkerSeen, ...] = ()
    pods: tuple[PodSeen, ...] = ()
    written: int | None = None
    template: str = ""
    model: str = ""
    gpu: bool = False
    measurements: tuple[Measurement, ...] = ()
    hold: Hold | None = None

    @property
    def ready(self) -> int:
        """Pods that are ready."""
        return sum(pod.state is PodState.READY for pod in self.pods)


@dataclass(frozen=True)
class Desire:
    """What the work alone asked for, at one time."""

    at: float
    replicas: int


@dataclass(frozen=True)
class History:
    """What the operator remembers between ticks and may lose at any time.

    An empty one, after a restart, never scales down before a whole down-window has been seen.
    `signal_lost_at` may be restored from the status (since when `SignalAvailable` is False).
    `highs` and `lows` are the desires that are still the largest or smallest of a window.
    """

    at: float | None = None
    watching_since: float | None = None
    highs: tuple[Desire, ...] = ()
    lows: tuple[Desire, ...] = ()
    signal_lost_at: float | None = None
    measurements: tuple[Measurement, ...] = ()
    capacity_retry_at: float | None = None
    foreign_replicas: int | None = None
    disturbed_at: float | None = None
    disturbances: int = 0
