"""Data types of the simulation: cluster parameters, faults, pods, decisions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf

LEASE_SECONDS = 30.0


@dataclass(frozen=True)
class ClusterModel:
    """Everything in seconds; `throughput` in audio-seconds per second and worker.

    `startup_jitter`: start-ups vary uniformly by this share, up and down. `drain`: a removed worker
    finishes its task if that fits into `grace_seconds`, else releases it at once. Without it, the
    task is killed and starts again after its lease.

    At `changed_at` the pod template changes: pods created before are `faster_before` times as fast.
    They finish their tasks and are replaced at once.
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
        """Throughput of a pod that is created at `at`."""
        return self.throughput * (self.faster_before if at < self.changed_at else 1.0)


@dataclass(frozen=True)
class Faults:
    """Outages of Redis (start, end) and restarts of the autoscaler, in seconds of the trace."""

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
    """A policy's decision. Pods are removed by `cost`, lowest first, then the youngest first.

    Pods in `cordoned` claim no more tasks.
    """

    replicas: int
    cost: Mapping[str, int] = field(default_factory=dict)
    cordoned: frozenset[str] = frozenset()


@dataclass(slots=True)
class Sample:
    """One point of the chart."""

    at: float
    waiting: int
    in_flight: int
    replicas: int
    ready: int
