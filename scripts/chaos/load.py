"""The offered load: at a steady rate, or so that there is always enough to do."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

import redis.exceptions

from asr_core.errors import AsrError
from chaos.clients import Clients, draw_order
from chaos.clips import Clip
from chaos.quiet import count_open
from chaos.watch import Watcher

LOOK_SECONDS = 0.2
SUBMITTING = 8


@dataclass(frozen=True)
class Demand:
    """`tasks` orders, `rate` per second; rate 0: as soon as fewer than `backlog` are open."""

    tasks: int
    rate: float = 0.0
    backlog: int = 80


@dataclass(eq=False)
class Load:
    """Places orders; each lives on by itself until its client is through with it."""

    demand: Demand
    seed: int
    clips: Sequence[Clip]
    clients: Clients
    watcher: Watcher
    placed: int = 0
    _open: int = 0

    def is_on(self) -> bool:
        """More orders are still to come."""
        return self.placed < self.demand.tasks

    async def offer(self) -> None:
        """All of the demand; returns when the last client is through."""
        async with asyncio.TaskGroup() as group:
            if self.demand.rate:
                await self._steadily(group)
            else:
                await self._enough(group)

    async def _steadily(self, group: asyncio.TaskGroup) -> None:
        began = time.monotonic()
        while self.is_on():
            due = self.placed / self.demand.rate - (time.monotonic() - began)
            await asyncio.sleep(max(0.0, due))
            self._place(group)

    async def _enough(self, group: asyncio.TaskGroup) -> None:
        while self.is_on():
            waiting = self._not_yet_accepted()
            room = self.demand.backlog - await self._count_open() - waiting
            room = min(room, SUBMITTING - waiting, self.demand.tasks - self.placed)
            for _ in range(room):
                self._place(group)
            await asyncio.sleep(LOOK_SECONDS / 4 if room > 0 else LOOK_SECONDS)

    def _place(self, group: asyncio.TaskGroup) -> None:
        group.create_task(self.clients.place(draw_order(self.seed, self.placed, self.clips)))
        self.placed += 1

    def _not_yet_accepted(self) -> int:
        return len(self.clients.ledger.orders) - len(self.clients.ledger.accepted)

    async def _count_open(self) -> int:
        with suppress(AsrError, redis.exceptions.RedisError):  # what was known last will do
            self._open = await count_open(self.watcher)
        return self._open
