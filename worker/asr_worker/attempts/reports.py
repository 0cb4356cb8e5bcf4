"""What a worker tells the queue about its tasks: finished, failed, handed back; many in one call.

Redis being away is waited out: a report is repeated until it is answered or the lease is lost.
Every report is idempotent on (task_id, token).
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from asr_core.errors import DependencyError
from asr_core.process.logs import get_logger
from asr_core.queue import Consumer, Failure, Finish, Outcome
from asr_worker.in_flight.capacity import backoff_seconds
from asr_worker.in_flight.tasks import InFlightTask

_GROUP = 64
_log = get_logger(__name__)


@dataclass(frozen=True)
class HandBack:
    """As if never begun."""

    task_id: str
    token: str


Report = Finish | Failure | HandBack


@dataclass(eq=False)
class _Letter:
    task: InFlightTask
    report: Report
    answer: asyncio.Future[Outcome | None] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )


class Reports:
    """One sender; `run` is its loop."""

    def __init__(self, consumer: Consumer) -> None:
        self._consumer = consumer
        self._letters: asyncio.Queue[_Letter] = asyncio.Queue()

    async def send(self, task: InFlightTask, report: Report) -> Outcome | None:
        """The queue's answer. None: the lease was lost before Redis answered, nothing is known."""
        letter = _Letter(task, report)
        self._letters.put_nowait(letter)
        return await letter.answer

    async def run(self) -> None:
        """Sends what there is, in groups, for ever."""
        while True:
            group = [await self._letters.get()]
            while len(group) < _GROUP and not self._letters.empty():
                group.append(self._letters.get_nowait())
            await self._deliver(group)
            for _ in group:
                self._letters.task_done()

    async def delivered(self) -> None:
        """Returns when everything that was sent has been answered."""
        await self._letters.join()

    async def _deliver(self, group: Sequence[_Letter]) -> None:
        failures = 0
        while group:
            try:
                for kind in (Finish, Failure, HandBack):
                    letters = [letter for letter in group if isinstance(letter.report, kind)]
                    _answer(letters, await self._call([letter.report for letter in letters]))
            except DependencyError as error:
                _log.warning("report not delivered", error=str(error), tasks=len(group))
                for letter in group:
                    if letter.task.lost is not None:
                        _answer([letter], [None])
                await asyncio.sleep(backoff_seconds(failures, first=0.1, most=2.0))
                failures += 1
            except Exception as error:
                for letter in group:
                    if not letter.answer.done():
                        letter.answer.set_exception(error)
            group = [letter for letter in group if not letter.answer.done()]

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


def _answer(letters: Sequence[_Letter], outcomes: Sequence[Outcome | None]) -> None:
    for letter, outcome in zip(letters, outcomes, strict=True):
        if not letter.answer.done():
            letter.answer.set_result(outcome)
