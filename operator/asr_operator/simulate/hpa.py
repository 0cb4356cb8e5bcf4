"""The HorizontalPodAutoscaler on an external metric with a target of type AverageValue.

Formula and windows as in
https://github.com/kubernetes/kubernetes/tree/master/pkg/controller/podautoscaler:
replica_calculator.go (`GetExternalPerPodMetricReplicas`) and horizontal.go
(`stabilizeRecommendationWithBehaviors`, `convertDesiredReplicasWithBehaviorRate`), with the default
behaviour of https://kubernetes.io/docs/tasks/run-application/horizontal-pod-autoscale/#default-behavior:
up at once by 4 pods or 100 % in 15 s, down to anything after a window of 300 s.
"""

from __future__ import annotations

from collections import deque
from math import ceil

SYNC_SECONDS = 15.0
TOLERANCE = 0.1
_UP_PODS, _UP_PERIOD_SECONDS = 4, 15.0


def average_value_replicas(metric: float, target: float, replicas: int) -> int:
    """`ceil(metric / target)`, or `replicas` if usage is within 10 % of the target."""
    if abs(1 - metric / (target * replicas)) <= TOLERANCE:
        return replicas
    return ceil(metric / target)


class Hpa:
    """State of one HPA: recommendations of the down window, and recently added pods."""

    def __init__(
        self, target: float, *, least: int, most: int, down_seconds: float = 300.0
    ) -> None:
        self.target, self.least, self.most = target, least, most
        self.down_seconds = down_seconds
        self._recommended: deque[tuple[float, int]] = deque()
        self._added: deque[tuple[float, int]] = deque()

    def restart(self) -> None:
        self._recommended.clear()
        self._added.clear()

    def sync(self, now: float, metric: float, replicas: int) -> int:
        """One sync; an HPA is disabled at zero replicas."""
        if replicas == 0:
            return 0
        if not self._recommended:  # after a start, the first recommendation is the current number
            self._recommended.append((now, replicas))
        wanted = average_value_replicas(metric, self.target, replicas)
        self._recommended.append((now, wanted))
        while self._recommended[0][0] < now - self.down_seconds:
            self._recommended.popleft()
        highest = max(count for _, count in self._recommended)
        stable = max(wanted, min(replicas, highest))
        limited = min(stable, self._most_after_period(now, replicas), self.most)
        chosen = max(limited, self.least)
        if chosen > replicas:
            self._added.append((now, chosen - replicas))
        return chosen

    def _most_after_period(self, now: float, replicas: int) -> int:
        while self._added and self._added[0][0] <= now - _UP_PERIOD_SECONDS:
            self._added.popleft()
        at_start = replicas - sum(count for _, count in self._added)
        return max(at_start + _UP_PODS, 2 * at_start)
