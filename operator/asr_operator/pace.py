"""How fast a worker is, and how long it takes to start: from what was measured. Pure."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from math import exp, isfinite

from asr_operator.observation import History, Observation, PodState
from asr_operator.spec import PoolSpec

ASSUMED_STARTUP_SECONDS = 30.0
# How soon lower figures are believed (two thirds of the way); higher ones are at once.
_THROUGHPUT_FALLS_SECONDS, _STARTUP_FALLS_SECONDS = 60.0, 300.0
_MOST = 1e12


@dataclass(frozen=True)
class Pace:
    """`throughput` in audio-seconds per second and pod; 0: nobody knows."""

    throughput: float
    startup_seconds: float


def pace_of(spec: PoolSpec, seen: Observation, history: History) -> Pace:
    """Measured now, else remembered, else from the spec."""
    return Pace(_throughput(spec, seen, history), _startup(seen, history))


def clean(value: float) -> float:
    """Not negative, finite, and small enough to reckon with."""
    return min(max(value, 0.0), _MOST) if isfinite(value) else 0.0


def _throughput(spec: PoolSpec, seen: Observation, history: History) -> float:
    """The median of the pods.

    Batches are not full under light load, so that a low figure says little then: it is believed
    only while tasks wait, and by and by.
    """
    known = clean(history.throughput) or clean(seen.known_throughput) or (spec.throughput or 0.0)
    by_pod: dict[str, float] = defaultdict(float)
    for worker in seen.workers:
        by_pod[worker.pod] += clean(worker.throughput)
    measured = _upper_median([rate for rate in by_pod.values() if rate > 0])
    if measured >= known or known == 0:
        return measured or known
    if measured == 0 or seen.queue.waiting == 0 or history.at is None:
        return known
    return _falling(known, measured, seen.now - history.at, _THROUGHPUT_FALLS_SECONDS)


def _startup(seen: Observation, history: History) -> float:
    """From a pod's creation to Ready; without one, what a worker says of loading its model.

    The median of the pods that there are; a slow one is remembered for a while.
    """
    pods = [
        pod.startup_seconds
        for pod in seen.pods
        if pod.state is PodState.READY and pod.startup_seconds is not None
    ]
    measured = _upper_median([clean(seconds) for seconds in pods])
    known = clean(history.startup_seconds)
    if 0 < measured < known and history.at is not None:
        return _falling(known, measured, seen.now - history.at, _STARTUP_FALLS_SECONDS)
    loading = [clean(worker.startup_seconds) for worker in seen.workers]
    return (
        measured
        or known
        or clean(seen.known_startup_seconds)
        or _upper_median(loading)
        or ASSUMED_STARTUP_SECONDS
    )


def _falling(known: float, measured: float, passed: float, seconds: float) -> float:
    return measured + (known - measured) * exp(-max(0.0, passed) / seconds)


def _upper_median(values: list[float]) -> float:
    return sorted(values)[len(values) // 2] if values else 0.0
