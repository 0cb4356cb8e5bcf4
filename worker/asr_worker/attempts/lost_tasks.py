"""Ends attempts that no longer count: the lease was lost, or the caller cancelled the task."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import suppress

from asr_core.process.logs import get_logger
from asr_core.queue import Outcome
from asr_worker.in_flight.tasks import InFlightTask, InFlightTasks
from asr_worker.metrics import WorkerMetrics

_log = get_logger(__name__)


class LostTasks:
    """`report` is safe from any thread, the rest runs on the event loop that made it."""

    def __init__(self, in_flight: InFlightTasks, metrics: WorkerMetrics) -> None:
        self._in_flight = in_flight
        self._metrics = metrics
        self._loop = asyncio.get_running_loop()

    def report(self, task_id: str, token: str, outcome: Outcome) -> None:
        """Called by the lease keeper's thread when the queue refuses to renew this attempt."""
        with suppress(RuntimeError):  # the loop is closed: no task is in flight any more
            self._loop.call_soon_threadsafe(self._lose, task_id, token, outcome)

    def abandon(self, tasks: Iterable[InFlightTask], outcome: Outcome) -> None:
        """Drops tasks without a report; one that is being reported awaits the queue's answer."""
        for task in tasks:
            if task.lost is not None:
                continue
            task.lost = outcome
            if not task.reporting and task.work is not None:
                if outcome is not Outcome.CANCELLED:
                    self._metrics.leases_lost.inc()
                _log.warning("task lost", task_id=task.task_id, outcome=outcome, stage=task.stage)
                task.work.cancel()

    def _lose(self, task_id: str, token: str, outcome: Outcome) -> None:
        if task := self._in_flight.find(task_id, token):
            self.abandon([task], outcome)
