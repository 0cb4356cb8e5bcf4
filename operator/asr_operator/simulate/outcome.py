"""Outcome of a run: waits, GPU-hours, reversals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from asr_operator.simulate.cluster import Cluster, Policy
from asr_operator.simulate.model import ClusterModel, Faults, Sample
from asr_operator.simulate.trace import Trace

_HOUR = 3600.0


@dataclass(frozen=True)
class Scenario:
    """The input of all policies. `target_seconds` is the longest wait allowed."""

    trace: Trace
    model: ClusterModel
    faults: Faults = field(default_factory=Faults)
    target_seconds: float = 60.0
    max_replicas: int = 8
    min_replicas: int = 0


@dataclass(frozen=True)
class Outcome:
    """Waits in seconds, until the run begins that completes the task; GPU time in hours.

    `over` is the share of tasks that waited longer than the target. `busy_hours` includes runs that
    were killed. `reversals` counts changes of replicas opposite to the previous change.
    """

    tasks: int
    p50: float
    p95: float
    p99: float
    longest: float
    over: float
    billed_hours: float
    busy_hours: float
    reversals: int
    killed: int
    unfinished: int
    samples: tuple[Sample, ...] = ()


def run(scenario: Scenario, policy: Policy, *, sample_seconds: float = 0.0) -> Outcome:
    """Runs one policy; with `sample_seconds` above 0 the outcome has samples for a chart."""
    cluster = Cluster(scenario.trace, scenario.model, scenario.faults)
    cluster.run(policy, sample_seconds=sample_seconds)
    ordered = sorted(waits(cluster))
    tasks = len(ordered)
    return Outcome(
        tasks=tasks,
        p50=percentile(ordered, 0.50),
        p95=percentile(ordered, 0.95),
        p99=percentile(ordered, 0.99),
        longest=ordered[-1],
        over=sum(wait > scenario.target_seconds for wait in ordered) / tasks,
        billed_hours=cluster.billed / _HOUR,
        busy_hours=cluster.busy_seconds / _HOUR,
        reversals=reversals([replicas for _, replicas in cluster.changes]),
        killed=cluster.killed,
        unfinished=tasks - cluster.done,
        samples=tuple(cluster.samples),
    )


def waits(cluster: Cluster) -> list[float]:
    """Seconds that each task waited, in order of arrival; unfinished ones until now."""
    pairs = zip(cluster.starts, cluster.queued_at, strict=True)
    return [min(start, cluster.now) - queued for start, queued in pairs]


def percentile(ordered: Sequence[float], share: float) -> float:
    """Nearest rank of sorted values; 0 without values."""
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


def reversals(replicas: Sequence[int]) -> int:
    """Number of changes of direction; the first step from zero does not count."""
    ups = [after > before for before, after in pairwise([0, *replicas])]
    return sum(before != after for before, after in pairwise(ups))


def work_hours(scenario: Scenario) -> float:
    """GPU-hours of the work itself, without idle, starting or killed workers."""
    trace, model = scenario.trace, scenario.model
    tasks = zip(trace.arrivals, trace.audio_seconds, strict=True)
    return sum(audio / model.throughput_at(at) for at, audio in tasks) / _HOUR
