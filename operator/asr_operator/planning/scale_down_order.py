"""Who goes when there are too many, and what the ReplicaSet controller is told about it. Pure.

That controller takes pods without a node first, then starting ones, then by deletion cost, then the
youngest (https://kubernetes.io/docs/concepts/workloads/controllers/replicaset/#scaling-down-a-replicaset).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import ceil

from asr_operator.planning.observation import PodSeen, PodState, WorkerSeen
from asr_operator.planning.throughput import clean

_MOST_COST = 2**31 - 1
_BUSY_COST = 10
_ORDER = {PodState.UNSCHEDULABLE: 0, PodState.STARTING: 1, PodState.READY: 2}


@dataclass(frozen=True)
class Candidate:
    """One pod with what its workers do. `is_silent`: ready, but none of its workers is heard."""

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
        """It can go without harm: it has no task, as far as is known."""
        return self.busy == 0 and not self.is_silent


def candidates(workers: Iterable[WorkerSeen], pods: Iterable[PodSeen]) -> list[Candidate]:
    """All that can be taken, in the order in which they should be.

    Idle before busy, already cordoned ones first, the least audio in hand first, the youngest
    first. Workers whose pod is not listed count as pods: their work is real.
    """
    by_pod: dict[str, list[WorkerSeen]] = {}
    for worker in workers:
        by_pod.setdefault(worker.pod, []).append(worker)
    listed = list(pods)
    known = {pod.name for pod in listed}
    listed += [PodSeen(name, PodState.READY) for name in by_pod if name not in known]
    found = [
        _candidate(pod, by_pod.get(pod.name, []))
        for pod in listed
        if pod.state is not PodState.TERMINATING
    ]
    return sorted(found, key=_first_to_go)


def _candidate(pod: PodSeen, workers: Sequence[WorkerSeen]) -> Candidate:
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


def _first_to_go(each: Candidate) -> tuple[int, bool, bool, float, bool, float, str]:
    return (
        _ORDER[each.state] if each.busy == 0 else _ORDER[PodState.READY],
        each.busy > 0,
        each.is_silent,
        each.in_flight_seconds if each.busy else 0.0,
        not each.is_cordoned,
        each.age_seconds,
        each.pod,
    )


def deletion_costs(ordered: Sequence[Candidate], victims: int) -> tuple[tuple[str, int], ...]:
    """By pod: idle victims 0, other idle ones 1, busy ones 10 and the seconds of audio in hand."""
    costs = []
    for place, each in enumerate(ordered):
        cost = 0 if place < victims else 1
        if not each.is_idle:
            cost = min(_BUSY_COST + ceil(each.in_flight_seconds), _MOST_COST)
        costs.append((each.pod, cost))
    return tuple(costs)
