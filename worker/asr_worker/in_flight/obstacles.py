"""Why a worker takes no work: told with its heartbeat, not in its log alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from asr_worker.metrics import WorkerMetrics


@dataclass(frozen=True)
class Obstacles:
    """`checks` by name; each says what is in the way, in words, or nothing."""

    checks: Mapping[str, Callable[[], str]]
    metrics: WorkerMetrics

    def observe(self) -> str:
        """What is in the way now, and empty if nothing is; the gauge shows which it is."""
        found = {name: check() for name, check in self.checks.items()}
        for name, problem in found.items():
            self.metrics.worker_blocked.labels(reason=name).set(bool(problem))
        return "; ".join(filter(None, found.values()))
