"""Knative's KPA on concurrency; waiting tasks count as concurrency, as in its activator.

https://github.com/knative/serving/blob/main/pkg/autoscaler/scaling/autoscaler.go (`Scale`), with
the defaults of https://knative.dev/docs/serving/autoscaling/kpa-specific/: stable window 60 s,
panic window a tenth of it, panic threshold 2, rates 1000 up and 2 down, a tick of 2 s; it panics
after a restart.
"""

from __future__ import annotations

from bisect import bisect_left
from math import ceil, floor, inf

from asr_operator.simulate.cluster import Cluster
from asr_operator.simulate.model import Decision

MAX_UP_RATE, MAX_DOWN_RATE = 1000.0, 2.0
TICK_SECONDS = 2.0


def desired_pods(average: float, target: float, ready: int) -> int:
    """`ceil(average / target)`, within the rates around the ready pods (at least one)."""
    around = max(1, ready)
    highest, lowest = ceil(MAX_UP_RATE * around), floor(around / MAX_DOWN_RATE)
    return min(max(ceil(average / target), lowest), highest)


class Kpa:
    """`target` is the concurrency per pod to aim at."""

    name = "Knative KPA"
    period_seconds = TICK_SECONDS

    def __init__(
        self,
        target: float,
        *,
        most: int,
        least: int = 0,
        stable_seconds: float = 60.0,
        panic_threshold: float = 2.0,
    ) -> None:
        self._target, self._least, self._most = target, least, most
        self._stable_seconds, self._panic_seconds = stable_seconds, stable_seconds / 10
        self._threshold = panic_threshold
        self._panic_at = -inf
        self._panic_pods = 0
        self._times: list[float] = []
        self._sums: list[float] = []

    def restart(self, cluster: Cluster) -> None:
        self._times.clear()
        self._sums.clear()
        if cluster.ready > 1:
            self._panic_at, self._panic_pods = cluster.now, cluster.ready

    def decide(self, cluster: Cluster) -> Decision:
        if cluster.redis_down:
            return Decision(cluster.replicas)
        now, ready = cluster.now, cluster.ready
        self._times.append(now)
        self._sums.append(cluster.concurrency_seconds)
        level = cluster.waiting + cluster.in_flight
        panicked = self._average(self._panic_seconds, level)
        wanted = desired_pods(self._average(self._stable_seconds, level), self._target, ready)
        if ceil(panicked / self._target) / max(1, ready) >= self._threshold:
            self._panic_at = now
        elif self._panic_at + self._stable_seconds < now:
            self._panic_at, self._panic_pods = -inf, 0
        if self._panic_at > -inf:
            wanted = max(wanted, desired_pods(panicked, self._target, ready), self._panic_pods)
            self._panic_pods = wanted
        return Decision(max(min(wanted, self._most), self._least))

    def _average(self, seconds: float, level: float) -> float:
        first = bisect_left(self._times, self._times[-1] - seconds)
        span = self._times[-1] - self._times[first]
        return (self._sums[-1] - self._sums[first]) / span if span else level
