"""The cheapest schedule of replicas, computed with knowledge of all arrivals.

Dynamic programming over slots of some seconds. A state is the number of ready workers and the open
work, in bins; of the transitions into a bin the cheapest is kept, with its exact work. A slot costs
its workers, a start costs the start-up time, and work older than the target costs more than
anything else. Work is continuous here; the cluster then replays the schedule with whole tasks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from asr_operator.simulate.cluster import Cluster
from asr_operator.simulate.model import ClusterModel, Decision
from asr_operator.simulate.trace import Trace

_BINS = 48
_LATE_COST = 100.0  # per worker-second of work that is too old and slot
_MOST_SLOTS = 9000


@dataclass(frozen=True)
class Schedule:
    """`replicas[i]` from `i * slot_seconds` on, including starting ones."""

    slot_seconds: float
    replicas: tuple[int, ...]


def best_schedule(
    trace: Trace, model: ClusterModel, *, most: int, within_seconds: float
) -> Schedule:
    """Starts all work, as a continuum, within `within_seconds` of arrival at the lowest cost."""
    slot = max(5.0, trace.seconds / _MOST_SLOTS)
    slots = int((trace.seconds + within_seconds) / slot) + 2
    work = np.bincount(
        (np.asarray(trace.arrivals) / slot).astype(int),
        weights=np.asarray(trace.audio_seconds)
        / [model.throughput_at(at) for at in trace.arrivals],
        minlength=slots,
    )
    arrived = np.concatenate(([0.0], np.cumsum(work)))
    young = max(1, round(within_seconds / slot))
    counts = np.arange(most + 1)
    price = slot * counts + model.startup_seconds * np.maximum(0, counts - counts[:, None])
    cost = np.full((most + 1, _BINS), np.inf)
    opened = np.zeros((most + 1, _BINS))
    cost[0, 0] = 0.0
    transitions = np.zeros((slots, most + 1, _BINS), np.int32)
    for at in range(slots):
        allowed = arrived[at + 1] - arrived[max(0, at + 1 - young)]
        left = np.maximum(0.0, opened[None] + work[at] - (slot * counts)[:, None, None])
        total = cost[None] + price.T[:, :, None] + _LATE_COST * np.maximum(0.0, left - allowed)
        flat = (most + 1, _BINS * (most + 1))
        cost, opened, transitions[at] = _thin(total.reshape(flat), left.reshape(flat), allowed)
    ready = _walk_back(transitions, cost, opened)
    return Schedule(slot, _started_before(ready, round(model.startup_seconds / slot)))


def _thin(total: Any, left: Any, allowed: float) -> tuple[Any, Any, Any]:
    """The cheapest transition into each bin: its cost, its work, its origin."""
    counts = len(total)
    bins = np.minimum(_BINS - 1, np.ceil(left / max(allowed, 1e-9) * (_BINS - 2))).astype(int)
    dearest_first = np.argsort(-total, axis=1, kind="stable")
    rows = np.arange(counts)[:, None]
    transition = np.full((counts, _BINS), -1)
    transition[rows, np.take_along_axis(bins, dearest_first, 1)] = (
        dearest_first  # the last assignment wins
    )
    found = transition >= 0
    cost = np.where(found, np.take_along_axis(total, transition.clip(0), 1), np.inf)
    return cost, np.take_along_axis(left, transition.clip(0), 1), transition


def _walk_back(transitions: Any, cost: Any, opened: Any) -> list[int]:
    count, place = divmod(int(np.argmin(cost + _LATE_COST * opened)), _BINS)
    ready = [0] * len(transitions)
    for at in range(len(transitions) - 1, -1, -1):
        ready[at] = count
        count, place = divmod(int(transitions[at, count, place]), _BINS)
    return ready


def _started_before(ready: list[int], ahead: int) -> tuple[int, ...]:
    """Replicas that must exist for `ready` workers: each is created `ahead` slots before."""
    replicas = list(ready)
    for at, (before, after) in enumerate(zip([0, *ready], ready, strict=False)):
        for early in range(max(0, at - ahead), at) if after > before else ():
            replicas[early] += after - before
    return tuple(replicas)


class Oracle:
    """Follows a schedule; removes idle workers first, then those that finish soonest."""

    name = "oracle"

    def __init__(self, schedule: Schedule, *, most: int) -> None:
        self.period_seconds = schedule.slot_seconds
        self._replicas, self._most = schedule.replicas, most

    def restart(self, cluster: Cluster) -> None:
        """No state to lose."""

    def decide(self, cluster: Cluster) -> Decision:
        slot = round(cluster.now / self.period_seconds)
        wanted = self._replicas[slot] if slot < len(self._replicas) else 0
        if wanted == 0 and (cluster.waiting or cluster.in_flight):
            wanted = 1  # the continuous work has ended, a task has not
        cost = {
            pod.name: -1 if pod.task < 0 else int(min(pod.finish - cluster.now, 1e6))
            for pod in cluster.pods
        }
        return Decision(min(wanted, self._most), cost)
