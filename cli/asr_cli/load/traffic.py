"""The load: clients that submit, wait for the end, and go on; every outcome goes to the ledger.

Closed loop: each client submits when its task before has ended. Open loop: submissions are due at
fixed times, each is taken by a free client, and its latency counts from when it was due, so that a
slow server cannot hide by slowing its clients (coordinated omission).
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
import time
import uuid
from collections.abc import Callable, Sequence

from asr_cli.load.ledger import Ledger
from asr_cli.load.plan import LoadPlan
from asr_cli.load.problem import Problem
from asr_cli.load.recording import Recording
from asr_cli.load.session import Session, task_end

ASK_AGAIN_SECONDS_MOST = 5.0
_SPREAD = 0.25
_DELETES_AT_ONCE = 16


class Traffic:
    """One run. `cut()` ends the phase under way: load, drain, or deletion."""

    def __init__(
        self,
        plan: LoadPlan,
        recordings: Sequence[Recording],
        ledger: Ledger,
        open_session: Callable[[], Session],
        *,
        delete: bool = False,
    ) -> None:
        """`delete`: each task once it has ended, so that the newest recordings are the users'."""
        self.plan = plan
        self.ledger = ledger
        self.unsent = 0
        self.interrupted = False
        self.cut_short = False
        self._open_session = open_session
        self._delete = delete
        self._deleted: set[str] = set()
        self._recordings = itertools.cycle(recordings)
        self._arrivals = plan.arrivals() if plan.rate is not None else iter(())
        self._load_over = asyncio.Event()
        self._drain_over = asyncio.Event()
        self._deletion_over = asyncio.Event()
        self._started_at = time.monotonic()
        self._load_ended_at = self._started_at
        self._ended_at = self._started_at

    @property
    def draining(self) -> bool:
        return self._load_over.is_set()

    @property
    def load_seconds(self) -> float:
        """How long load was or has been offered."""
        return (self._load_ended_at if self.draining else time.monotonic()) - self._started_at

    @property
    def drain_seconds(self) -> float:
        """How long the drain has lasted, or lasted."""
        if not self.draining:
            return 0.0
        ended_at = self._ended_at if self._drain_over.is_set() else time.monotonic()
        return ended_at - self._load_ended_at

    def cut(self) -> None:
        """Ctrl-C: what comes next comes now."""
        self.interrupted = True
        for event in (self._load_over, self._drain_over, self._deletion_over):
            if not event.is_set():
                event.set()
                return

    async def run(self) -> None:
        """Offer the load, then wait for what was accepted; the ledger is closed afterwards."""
        self._started_at = time.monotonic()
        start = self._closed_loop if self.plan.rate is None else self._open_loop
        clients = [asyncio.create_task(start(n)) for n in range(self.plan.concurrency)]
        try:
            await _wait(self._load_over, self.plan.seconds)
            self._load_over.set()
            self._load_ended_at = time.monotonic()
            await self._drain(clients)
        finally:
            for client in clients:
                client.cancel()
            await asyncio.gather(*clients, return_exceptions=True)
        for client in clients:
            if not client.cancelled():
                client.result()
        self._ended_at = time.monotonic()
        self._drain_over.set()
        self.unsent = 0 if self.interrupted else self.unsent + sum(1 for _ in self._arrivals)
        self.ledger.close(cut_short=self.cut_short)

    async def delete_all(self) -> int:
        """Delete what this run made and has not deleted yet, but for what is lost: that is to be
        looked at. How many it has deleted in all.
        """
        spared = {task.task_id for task in self.ledger.lost} | self._deleted
        left = iter([task_id for task_id in self.ledger.task_ids if task_id not in spared])

        async def work() -> None:
            async with self._open_session() as session:
                for task_id in left:
                    if self._deletion_over.is_set():
                        return
                    await self._delete_one(session, task_id)

        await asyncio.gather(*(work() for _ in range(_DELETES_AT_ONCE)))
        return len(self._deleted)

    async def _delete_one(self, session: Session, task_id: str) -> None:
        answer = await session.delete(task_id)
        if answer.problem is None:
            self._deleted.add(task_id)
        else:
            self.ledger.problem(answer.problem)

    async def _drain(self, clients: Sequence[asyncio.Task[None]]) -> None:
        async def note_end() -> None:
            await asyncio.wait(clients)
            self._drain_over.set()

        end = asyncio.create_task(note_end())
        await _wait(self._drain_over, self.plan.drain_seconds)
        self.cut_short = self._drain_over.is_set() and not all(c.done() for c in clients)
        end.cancel()

    async def _closed_loop(self, number: int) -> None:
        async with self._open_session() as session:
            await _wait(self._load_over, self.plan.start_seconds(number))
            while not self._load_over.is_set():
                await self._one(session, time.monotonic())

    async def _open_loop(self, _number: int) -> None:
        async with self._open_session() as session:
            while not self._load_over.is_set():
                after = next(self._arrivals, None)
                if after is None:
                    return
                due_at = self._started_at + after
                await _wait(self._load_over, due_at - time.monotonic())
                if self._load_over.is_set():
                    self.unsent += 1
                else:
                    await self._one(session, due_at)

    async def _one(self, session: Session, due_at: float) -> None:
        task_id = await self._submit(session, next(self._recordings), due_at)
        if task_id is not None and await self._follow(session, task_id, due_at) and self._delete:
            await self._delete_one(session, task_id)

    async def _submit(self, session: Session, recording: Recording, due_at: float) -> str | None:
        """The task's id; None: rejected. A lost reply is asked for with the same key."""
        key = uuid.uuid4().hex
        self.ledger.submit(key)
        maybe_accepted = False
        while True:
            answer = await session.submit(recording, key)
            problem = answer.problem
            task_id = str(answer.body.get("task_id"))
            if problem is None and task_id in self.ledger.task_ids:
                problem = Problem("submit", "http", 202, "id_of_another_task")
            elif problem is None:
                self.ledger.accept(key, task_id, time.monotonic() - due_at)
                return task_id
            self.ledger.problem(problem)
            maybe_accepted = maybe_accepted or problem.reply_lost
            if problem.refused or not maybe_accepted:
                self.ledger.reject(key)
                await _wait(self._load_over, _spread(answer.pause_seconds))
                return None
            self.ledger.ask_again()
            await asyncio.sleep(_spread(min(answer.pause_seconds, ASK_AGAIN_SECONDS_MOST)))

    async def _follow(self, session: Session, task_id: str, due_at: float) -> bool:
        """Until the task has ended; False: the server says that it is gone."""
        while True:
            answer = await session.result(task_id)
            problem = answer.problem
            if problem is None:
                end = task_end(answer.body)
                if end is not None:
                    took_seconds = time.monotonic() - due_at
                    in_time = not self._load_over.is_set()
                    self.ledger.end(task_id, end, took_seconds, in_time=in_time)
                    return True
                self.ledger.see(task_id, str(answer.body["status"]))
                continue
            self.ledger.problem(problem, task_id)
            if problem.task_gone:
                self.ledger.lose(task_id, str(problem))
                return False
            await asyncio.sleep(_spread(min(answer.pause_seconds, ASK_AGAIN_SECONDS_MOST)))


def _spread(seconds: float) -> float:
    """Up to a quarter longer, so that a thousand clients do not come back at one moment."""
    return seconds * (1 + _SPREAD * random.random())


async def _wait(event: asyncio.Event, seconds: float) -> None:
    """Until the event, for so long at most."""
    if seconds > 0:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(event.wait(), seconds)
