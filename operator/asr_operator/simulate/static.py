"""A fixed number of replicas, as a Deployment without an autoscaler."""

from __future__ import annotations

from asr_operator.simulate.cluster import Cluster
from asr_operator.simulate.model import Decision


class Static:
    """Always `replicas`."""

    name = "static"
    period_seconds = 3600.0

    def __init__(self, replicas: int) -> None:
        self._replicas = replicas

    def decide(self, cluster: Cluster) -> Decision:
        return Decision(self._replicas)

    def restart(self, cluster: Cluster) -> None:
        """No state to lose."""
