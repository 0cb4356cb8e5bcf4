"""Why a worker claims nothing: reported with its heartbeat and as a gauge, not only logged."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from asr_worker.metrics import WorkerMetrics


@dataclass(frozen=True)
class Obstacles:
    """`checks` by name; each returns a problem in words, or an empty string."""

    checks: Mapping[str, Callable[[], str]]
    metrics: WorkerMetrics

    def observe(self) -> str:
        """All present problems in one line, empty if there are none; sets the gauge of each."""
        found = {name: check() for name, check in self.checks.items()}
        for name, problem in found.items():
            self.metrics.worker_blocked.labels(reason=name).set(bool(problem))
        return "; ".join(filter(None, found.values()))
