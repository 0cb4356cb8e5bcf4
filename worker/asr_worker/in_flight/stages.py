"""Watches tasks go from stage to stage: times them, and tells the lease keeper that they move."""

from __future__ import annotations

import time
from collections.abc import Iterable

from asr_core.queue import LeaseKeeper
from asr_worker.in_flight.tasks import InFlightTask, Stage
from asr_worker.metrics import WorkerMetrics


class Stages:
    """The engine's time is taken per batch, every other stage's per task."""

    def __init__(self, metrics: WorkerMetrics, keeper: LeaseKeeper) -> None:
        self._metrics = metrics
        self._keeper = keeper
        self.worker_moved_at = 0.0

    def enter(self, task: InFlightTask, stage: Stage) -> None:
        """The stage before is over."""
        now = time.monotonic()
        if task.stage not in (None, Stage.ENGINE):
            self.observe(task.stage, now - task.entered_at)
        task.stage, task.entered_at = stage, now
        self.moved(task)

    def leave(self, task: InFlightTask) -> None:
        """The last stage is over."""
        if task.stage not in (None, Stage.ENGINE):
            self.observe(task.stage, time.monotonic() - task.entered_at)

    def moved(self, task: InFlightTask) -> None:
        """The task has made progress now."""
        task.moved_at = time.monotonic()
        self._keeper.progress(*task.key, task.fraction)

    def batch_done(self, tasks: Iterable[InFlightTask]) -> None:
        """These tasks came forward, and what waits behind them is not stuck."""
        for task in tasks:
            self.moved(task)
        self._worker_moved()

    def decoding(self, task: InFlightTask) -> None:
        """The decoder has brought more samples: as `batch_done`, and safe from any thread."""
        self.moved(task)
        self._worker_moved()

    def _worker_moved(self) -> None:
        self.worker_moved_at = time.monotonic()
        self._keeper.touch()

    def observe(self, stage: Stage, seconds: float) -> None:
        self._metrics.stage_duration_seconds.labels(stage).observe(seconds)
