"""The claim loop: what it asks for, and what it does after a lost reply."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, cast

import pytest

from asr_core.errors import QueueUnavailable
from asr_core.options import TaskOptions
from asr_core.queue import Claim, Consumer
from asr_core.task import Lane, State, Task
from asr_worker.attempts.claiming import Claiming
from asr_worker.in_flight.capacity import Capacity
from asr_worker.in_flight.tasks import InFlightTask, InFlightTasks

pytestmark = pytest.mark.asyncio


def claim_of(name: str, *, solo: bool = False) -> Claim:
    task = Task(
        task_id=name, state=State.PROCESSING, pool="default", lane=Lane.NORMAL, tenant="t",
        filename="", content_type="", bytes=1, duration_seconds=1, options=TaskOptions(),
        created_at=0, queued_at=0,
    )  # fmt: skip
    return Claim(task, f"token-{name}", solo)


class ScriptedConsumer:
    """Answers `claim` from a list: claims, or an error; then with nothing."""

    def __init__(self, *replies: list[Claim] | Exception, begun: Sequence[Claim] = ()) -> None:
        self.replies = list(replies)
        self.begun = list(begun)
        self.calls: list[str] = []
        self.idle = asyncio.Event()

    @asynccontextmanager
    async def wake(self) -> AsyncIterator[asyncio.Event]:
        yield asyncio.Event()

    async def prepare(self) -> None:
        self.calls.append("prepare")

    async def recover(self) -> list[Claim]:
        self.calls.append("recover")
        return self.begun

    async def claim(self, **_capacity: Any) -> list[Claim]:
        self.calls.append("claim")
        if not self.replies:
            self.idle.set()
            return []
        reply = self.replies.pop(0)
        if isinstance(reply, Exception):
            raise reply
        return reply

    async def reap(self, **_capacity: Any) -> list[Claim]:
        self.calls.append("reap")
        return []


class Scene:
    """A claim loop with a hand that keeps what it is given."""

    def __init__(
        self, consumer: ScriptedConsumer, capacity: Callable[[], Capacity] | None = None
    ) -> None:
        self.in_flight = InFlightTasks()
        self.consumer = consumer
        self.usable = True
        self.claiming = Claiming(
            cast("Consumer", consumer),
            self.in_flight,
            capacity=capacity or (lambda: Capacity(1000, 100)),
            may_claim=self._may_claim,
            start=self._start,
            lease_seconds=30,
        )

    async def _may_claim(self) -> bool:
        return self.usable

    def _start(self, claims: Sequence[Claim]) -> None:
        for claim in claims:
            assert (claim.task.task_id, claim.token) not in self.in_flight
            self.in_flight.add(InFlightTask(claim, Path("x"), 1.0))

    async def run(self) -> None:
        running = asyncio.create_task(self.claiming.run())
        with suppress(TimeoutError):
            await asyncio.wait_for(self.consumer.idle.wait(), 2)
        self.claiming.stop()
        await running


async def test_after_an_error_it_takes_up_what_was_begun_and_is_not_yet_known() -> None:
    known, lost = claim_of("known"), claim_of("lost")
    scene = Scene(ScriptedConsumer([known], QueueUnavailable("reply lost"), begun=[known, lost]))
    await scene.run()
    assert {task.task_id for task in scene.in_flight} == {"known", "lost"}
    calls = scene.consumer.calls
    failed = calls.index("claim", calls.index("claim") + 1)
    assert calls[failed + 1 : failed + 3] == ["prepare", "recover"]


async def test_it_claims_nothing_beside_a_task_that_must_run_alone() -> None:
    scene = Scene(ScriptedConsumer([claim_of("alone", solo=True)], [claim_of("other")]))
    scene.consumer.idle.set()
    running = asyncio.create_task(scene.claiming.run())
    while not len(scene.in_flight):
        await asyncio.sleep(0)
    for _ in range(3):
        scene.in_flight.changed.set()
        while scene.in_flight.changed.is_set():  # until it has looked once more
            await asyncio.sleep(0)
    scene.claiming.stop()
    await running
    assert scene.consumer.calls.count("claim") == 1


@pytest.mark.parametrize("reason", ["cordoned", "full", "store"])
async def test_it_claims_nothing_while_it_must_not(reason: str) -> None:
    consumer = ScriptedConsumer([claim_of("a")])
    scene = Scene(consumer, capacity=lambda: Capacity(0 if reason == "full" else 1000, 100))
    scene.claiming.cordoned = reason == "cordoned"
    scene.usable = reason != "store"
    running = asyncio.create_task(scene.claiming.run())
    for _ in range(3):
        scene.in_flight.changed.set()
        while scene.in_flight.changed.is_set():
            await asyncio.sleep(0)
    scene.claiming.stop()
    await running
    assert consumer.calls == []


async def test_the_work_of_the_dead_is_looked_for_even_while_new_work_never_ends() -> None:
    scene = Scene(ScriptedConsumer(*([claim_of(f"task-{n}")] for n in range(5))))
    await scene.run()
    assert scene.consumer.calls[:2] == ["reap", "claim"]
