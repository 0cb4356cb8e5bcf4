"""The order in which pods are removed, and the deletion costs that enforce it. Pure.

The ReplicaSet controller removes unscheduled pods first, then starting ones, then by deletion cost,
then the youngest (https://kubernetes.io/docs/concepts/workloads/controllers/replicaset/#scaling-down-a-replicaset).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import ceil

from asr_operator.planning.observation import PodObservation, PodState, WorkerObservation
from asr_operator.planning.throughput import clean

_MOST_COST = 2**31 - 1
_BUSY_COST = 10
_ORDER = {PodState.UNSCHEDULABLE: 0, PodState.STARTING: 1, PodState.READY: 2}


@dataclass(frozen=True)
class Candidate:
    """One pod with the load of its workers. `is_silent`: ready, but no worker sends heartbeats."""

    pod: str
    state: PodState
    age_seconds: float
    is_silent: bool
    busy: int
    in_flight_seconds: float
    is_cordoned: bool
    consumers: tuple[str, ...]

    @property
    def is_idle(self) -> bool:
        """It has no task in flight, as far as is known."""
        return self.busy == 0 and not self.is_silent


def candidates(
    workers: Iterable[WorkerObservation], pods: Iterable[PodObservation]
) -> list[Candidate]:
    """All pods that can be removed, in scale-down order.

    Idle before busy, then the least audio in flight, then cordoned ones, then the youngest. Workers
    whose pod is not listed count as pods of their own, since they do have tasks.
    """
    by_pod: dict[str, list[WorkerObservation]] = {}
    for worker in workers:
        by_pod.setdefault(worker.pod, []).append(worker)
    listed = list(pods)
    known = {pod.name for pod in listed}
    listed += [PodObservation(name, PodState.READY) for name in by_pod if name not in known]
    found = [
        _candidate(pod, by_pod.get(pod.name, []))
        for pod in listed
        if pod.state is not PodState.TERMINATING
    ]
    return sorted(found, key=_scale_down_key)


def _candidate(pod: PodObservation, workers: Sequence[WorkerObservation]) -> Candidate:
    return Candidate(
        pod=pod.name,
        state=pod.state,
        age_seconds=clean(pod.age_seconds),
        is_silent=pod.state is PodState.READY and not workers,
        busy=sum(max(0, worker.busy) for worker in workers),
        in_flight_seconds=sum(clean(worker.in_flight_seconds) for worker in workers),
        is_cordoned=any(worker.cordoned for worker in workers),
        consumers=tuple(worker.consumer for worker in workers),
    )


def _scale_down_key(each: Candidate) -> tuple[int, bool, bool, float, bool, float, str]:
    return (
        _ORDER[each.state] if each.busy == 0 else _ORDER[PodState.READY],
        each.busy > 0,
        each.is_silent,
        each.in_flight_seconds if each.busy else 0.0,
        not each.is_cordoned,
        each.age_seconds,
        each.pod,
    )


def deletion_costs(ordered: Sequence[Candidate], removed: int) -> tuple[tuple[str, int], ...]:
    """By pod: 0 if idle and to be removed, 1 if idle, 10 plus audio-seconds in flight if busy."""
    costs = []
    for place, each in enumerate(ordered):
        cost = 0 if place < removed else 1
        if not each.is_idle:
            cost = min(_BUSY_COST + ceil(each.in_flight_seconds), _MOST_COST)
        costs.append((each.pod, cost))
    return tuple(costs)
