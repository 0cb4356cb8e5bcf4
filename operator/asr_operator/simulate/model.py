"""What a simulated cluster is made of: the model's numbers, faults, pods, decisions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf

LEASE_SECONDS = 30.0


@dataclass(frozen=True)
class ClusterModel:
    """Everything in seconds; `throughput` in audio-seconds per second and worker.

    `startup_jitter`: start-ups vary evenly by this share, up and down. `drain`: a worker that is
    taken finishes what fits into `grace_seconds` and hands the rest back at once. Without it, the
    task is killed and starts again after its lease.

    At `changed_at` the pods' template changes: until then a pod is `faster_before` times as fast.
    The pods that there are finish their tasks, and new ones take their places at once.
    """

    throughput: float = 20.0
    startup_seconds: float = 30.0
    startup_jitter: float = 0.2
    gpus: int = 1000
    grace_seconds: float = 30.0
    drain: bool = True
    seed: int = 1
    changed_at: float = 0.0
    faster_before: float = 1.0

    def throughput_at(self, at: float) -> float:
        """Of a pod that is made then."""
        return self.throughput * (self.faster_before if at < self.changed_at else 1.0)


@dataclass(frozen=True)
class Faults:
    """Redis is away from … to …; the autoscaler restarts at …, in seconds of the trace."""

    outages: tuple[tuple[float, float], ...] = ()
    restarts: tuple[float, ...] = ()


@dataclass(slots=True, eq=False)
class Pod:
    """One worker. `finish` is when its task ends, `inf` while it is idle."""

    name: str
    created_at: float
    scheduled_at: float = inf
    ready_at: float = inf
    task: int = -1
    finish: float = inf
    run: int = 0
    tasks_done: int = 0
    cordoned: bool = False
    terminating: bool = False
    throughput: float = 1.0


@dataclass(frozen=True)
class Decision:
    """What a policy wants. Pods go by `cost`, cheapest first, then the youngest first.

    Pods in `cordoned` claim nothing more, all others do.
    """

    replicas: int
    cost: Mapping[str, int] = field(default_factory=dict)
    cordoned: frozenset[str] = frozenset()


@dataclass(slots=True)
class Sample:
    """One point of the picture."""

    at: float
    waiting: int
    in_flight: int
    replicas: int
    ready: int
