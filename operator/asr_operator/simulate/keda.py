"""KEDA on a Redis stream: KEDA scales between zero and one, an HPA between one and n.

https://keda.sh/docs/latest/scalers/redis-streams/ (`lagCount`: entries not yet delivered;
`streamLength`: XLEN), https://keda.sh/docs/latest/concepts/scaling-deployments/ and
https://github.com/kedacore/keda/blob/main/pkg/scaling/executor/scale_scaledobjects.go: active means
metric > activation value (0); an active object at zero gets one replica; an inactive one is scaled
to zero after the cooldown, even with tasks in flight. On a metric error nothing changes.
"""

from __future__ import annotations

from math import inf
from typing import Literal

from asr_operator.simulate.cluster import Cluster
from asr_operator.simulate.hpa import SYNC_SECONDS, Hpa
from asr_operator.simulate.model import Decision


class Keda:
    """`signal` is `lag` (undelivered) or `length` (undelivered and in flight)."""

    def __init__(
        self,
        signal: Literal["lag", "length"],
        target: int,
        *,
        most: int,
        least: int = 0,
        down_seconds: float = 300.0,
        cooldown_seconds: float = 300.0,
        polling_seconds: float = 30.0,
    ) -> None:
        self.name = f"KEDA {signal}"
        self.period_seconds = min(polling_seconds, SYNC_SECONDS)
        self._in_flight_counts = signal == "length"
        self._hpa = Hpa(target, least=max(1, least), most=most, down_seconds=down_seconds)
        self._least = least
        self._cooldown_seconds, self._polling_seconds = cooldown_seconds, polling_seconds
        self._last_active = -inf
        self._next_poll = self._next_sync = 0.0

    def restart(self, cluster: Cluster) -> None:
        self._hpa.restart()

    def decide(self, cluster: Cluster) -> Decision:
        replicas = cluster.replicas
        if cluster.redis_down:
            return Decision(replicas)
        metric = cluster.waiting + (cluster.in_flight if self._in_flight_counts else 0)
        if cluster.now >= self._next_poll:
            self._next_poll = cluster.now + self._polling_seconds
            replicas = self._poll(cluster.now, replicas, active=metric > 0)
        if cluster.now >= self._next_sync:
            self._next_sync = cluster.now + SYNC_SECONDS
            replicas = self._hpa.sync(cluster.now, metric, replicas)
        return Decision(replicas)

    def _poll(self, now: float, replicas: int, *, active: bool) -> int:
        if active:
            self._last_active = now
            return replicas or max(1, self._least)
        if self._least:
            return max(replicas, self._least)
        return 0 if self._last_active + self._cooldown_seconds < now else replicas
