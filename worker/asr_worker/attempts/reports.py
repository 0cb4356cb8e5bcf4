"""Reports task outcomes to the queue in groups: finished, failed, released.

While Redis is unavailable a report is repeated until it is answered or the lease is lost. Every
report is idempotent on (task_id, token).
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from asr_core.backoff import backoff_seconds
from asr_core.errors import DependencyError
from asr_core.process.logs import get_logger
from asr_core.queue import Consumer, Failure, Finish, Outcome
from asr_worker.in_flight.tasks import InFlightTask

_GROUP = 64
_log = get_logger(__name__)


@dataclass(frozen=True)
class Release:
    """Back to the queue, attempt refunded."""

    task_id: str
    token: str


Report = Finish | Failure | Release


@dataclass(eq=False)
class _QueuedReport:
    task: InFlightTask
    report: Report
    answer: asyncio.Future[Outcome | None] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )


class Reports:
    """One sender; `run` is its loop."""

    def __init__(self, consumer: Consumer) -> None:
        self._consumer = consumer
        self._queue: asyncio.Queue[_QueuedReport] = asyncio.Queue()

    async def send(self, task: InFlightTask, report: Report) -> Outcome | None:
        """The queue's answer; None if the lease was lost before Redis answered."""
        queued = _QueuedReport(task, report)
        self._queue.put_nowait(queued)
        return await queued.answer

    async def run(self) -> None:
        """Sends queued reports in groups, forever."""
        while True:
            group = [await self._queue.get()]
            while len(group) < _GROUP and not self._queue.empty():
                group.append(self._queue.get_nowait())
            await self._deliver(group)
            for _ in group:
                self._queue.task_done()

    async def delivered(self) -> None:
        """Returns when every report that was sent has been answered."""
        await self._queue.join()

    async def _deliver(self, group: Sequence[_QueuedReport]) -> None:
        failures = 0
        while group:
            try:
                for kind in (Finish, Failure, Release):
                    queued_reports = [queued for queued in group if isinstance(queued.report, kind)]
                    _answer(
                        queued_reports,
                        await self._call([queued.report for queued in queued_reports]),
                    )
            except DependencyError as error:
                _log.warning("report not delivered", error=str(error), tasks=len(group))
                for queued in group:
                    if queued.task.lost is not None:
                        _answer([queued], [None])
                await asyncio.sleep(backoff_seconds(failures, first=0.1, most=2.0))
                failures += 1
            except Exception as error:
                for queued in group:
                    if not queued.answer.done():
                        queued.answer.set_exception(error)
            group = [queued for queued in group if not queued.answer.done()]

    async def _call(self, reports: Sequence[Report]) -> list[Outcome]:
        match reports:
            case []:
                return []
            case [Finish(), *_]:
                return await self._consumer.finish([r for r in reports if isinstance(r, Finish)])
            case [Failure(), *_]:
                return await self._consumer.fail([r for r in reports if isinstance(r, Failure)])
            case _:
                return await self._consumer.release([(r.task_id, r.token) for r in reports])


def _answer(queued_reports: Sequence[_QueuedReport], outcomes: Sequence[Outcome | None]) -> None:
    for queued, outcome in zip(queued_reports, outcomes, strict=True):
        if not queued.answer.done():
            queued.answer.set_result(outcome)
