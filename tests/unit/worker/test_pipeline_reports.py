"""Reports reach the queue once it can be reached, and are given up with the lease."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import pytest

from asr_core.errors import QueueUnavailable
from asr_core.options import TaskOptions
from asr_core.queue import Claim, Consumer, Failure, Finish, Outcome
from asr_core.task import Lane, State, Task
from asr_worker.attempts.reports import Release, Report, Reports
from asr_worker.in_flight.tasks import InFlightTask

pytestmark = pytest.mark.asyncio


def in_hand(name: str) -> InFlightTask:
    task = Task(
        task_id=name, state=State.PROCESSING, pool="default", lane=Lane.NORMAL, tenant="t",
        filename="", content_type="", bytes=1, duration_seconds=1, options=TaskOptions(),
        created_at=0, queued_at=0,
    )  # fmt: skip
    return InFlightTask(Claim(task, f"token-{name}", False), Path("x"), 1.0)


class FlakyConsumer:
    """Refuses a number of calls, then answers OK."""

    def __init__(self, refusals: int = 0) -> None:
        self.refusals = refusals
        self.groups: list[tuple[str, int]] = []
        self.refused = asyncio.Event()

    async def _answer(self, kind: str, reports: Sequence[Any]) -> list[Outcome]:
        if self.refusals > 0:
            self.refusals -= 1
            self.refused.set()
            raise QueueUnavailable("away")
        self.groups.append((kind, len(reports)))
        return [Outcome.OK] * len(reports)

    async def finish(self, done: Sequence[Any]) -> list[Outcome]:
        return await self._answer("finish", done)

    async def fail(self, failures: Sequence[Any]) -> list[Outcome]:
        return await self._answer("fail", failures)

    async def release(self, attempts: Sequence[Any]) -> list[Outcome]:
        return await self._answer("release", attempts)


async def sent(consumer: FlakyConsumer, *reports: tuple[InFlightTask, Report]) -> list[Any]:
    office = Reports(cast("Consumer", consumer))
    running = asyncio.create_task(office.run())
    try:
        return await asyncio.wait_for(asyncio.gather(*(office.send(*r) for r in reports)), 10)
    finally:
        running.cancel()


async def test_reports_of_one_moment_go_in_one_call_per_kind() -> None:
    consumer = FlakyConsumer()
    a, b, c, d = (in_hand(name) for name in "abcd")
    answers = await sent(
        consumer,
        (a, Finish(*a.key, "r", 1.0)),
        (b, Failure(*b.key, "code", "message", True)),
        (c, Finish(*c.key, "r", 1.0)),
        (d, Release(*d.key)),
    )
    assert answers == [Outcome.OK] * 4
    assert consumer.groups == [("finish", 2), ("fail", 1), ("release", 1)]


async def test_a_report_is_repeated_until_the_queue_answers() -> None:
    task = in_hand("a")
    consumer = FlakyConsumer(refusals=3)
    assert await sent(consumer, (task, Finish(*task.key, "r", 1.0))) == [Outcome.OK]


async def test_a_report_is_given_up_when_the_lease_is_lost_before_an_answer() -> None:
    task = in_hand("a")
    consumer = FlakyConsumer(refusals=1000)
    sending = asyncio.create_task(sent(consumer, (task, Finish(*task.key, "r", 1.0))))
    await consumer.refused.wait()
    task.lost = Outcome.FENCED
    assert await sending == [None]
