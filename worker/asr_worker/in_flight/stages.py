"""Tracks the stage of each task: observes stage times and reports progress to the lease keeper."""

from __future__ import annotations

import time
from collections.abc import Iterable

from asr_core.queue import LeaseKeeper
from asr_worker.in_flight.tasks import InFlightTask, Stage
from asr_worker.metrics import WorkerMetrics


class Stages:
    """The engine stage is timed per batch, every other stage per task."""

    def __init__(self, metrics: WorkerMetrics, keeper: LeaseKeeper) -> None:
        self._metrics = metrics
        self._keeper = keeper
        self.worker_moved_at = 0.0

    def enter(self, task: InFlightTask, stage: Stage) -> None:
        """Starts a stage and observes the time of the previous one."""
        now = time.monotonic()
        if task.stage not in (None, Stage.ENGINE):
            self.observe(task.stage, now - task.entered_at)
        task.stage, task.entered_at = stage, now
        self.moved(task)

    def leave(self, task: InFlightTask) -> None:
        """Observes the time of the last stage."""
        if task.stage not in (None, Stage.ENGINE):
            self.observe(task.stage, time.monotonic() - task.entered_at)

    def moved(self, task: InFlightTask) -> None:
        """Records progress of the task."""
        task.moved_at = time.monotonic()
        self._keeper.progress(*task.key, task.fraction)

    def batch_done(self, tasks: Iterable[InFlightTask]) -> None:
        """Records progress of these tasks, and of the worker, so that waiting tasks do not count
        as stuck.
        """
        for task in tasks:
            self.moved(task)
        self._worker_moved()

    def preparing(self, task: InFlightTask) -> None:
        """Records that more of a recording is decoded or segmented, as `batch_done` does; safe from
        any thread.
        """
        self.moved(task)
        self._worker_moved()

    def _worker_moved(self) -> None:
        self.worker_moved_at = time.monotonic()
        self._keeper.touch()

    def observe(self, stage: Stage, seconds: float) -> None:
        self._metrics.stage_duration_seconds.labels(stage).observe(seconds)
