"""What was submitted, what was answered, and every change of every task that was seen."""

from __future__ import annotations

import time
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime

from chaos.clips import Clip


@dataclass(frozen=True)
class Event:
    """Something that happened at `at` (Unix seconds)."""

    at: float
    what: str

    def __str__(self) -> str:
        return f"{clock(self.at)}  {self.what}"


@dataclass(eq=False)
class Order:
    """One recording that a client wants transcribed, under one idempotency key.

    `accepted_ids` are the task ids of its 202s: one in the end, however often it was sent.
    `clean`: no request of it ended without an answer, so none is under way. `deleted`: the
    client asked for deletion, and was answered.
    """

    key: str
    clip: Clip
    lane: str
    twice: bool = False
    delete_after_seconds: float | None = None
    looks_after_seconds: float | None = None
    accepted_ids: set[str] = field(default_factory=set)
    accepted_at: float = 0.0
    clean: bool = True
    deleted: bool = False
    refused: str = ""
    seen_result: str = ""
    events: list[Event] = field(default_factory=list)

    def note(self, what: str) -> None:
        self.events.append(Event(time.time(), what))

    @property
    def task_id(self) -> str:
        """The id of a 202; empty before the first."""
        return min(self.accepted_ids, default="")


@dataclass
class Ledger:
    """Orders by key; changes of tasks by id, as Redis published them; what the harness did."""

    orders: dict[str, Order] = field(default_factory=dict)
    changes: dict[str, list[Event]] = field(default_factory=lambda: defaultdict(list))
    deeds: list[Event] = field(default_factory=list)

    def add(self, order: Order) -> Order:
        self.orders[order.key] = order
        return order

    def did(self, what: str) -> None:
        """Record a deed of the harness: a fault, a restart."""
        self.deeds.append(Event(time.time(), what))

    @property
    def accepted(self) -> list[Order]:
        return [order for order in self.orders.values() if order.accepted_ids]

    def order_of(self, task_id: str) -> Order | None:
        return next((o for o in self.orders.values() if task_id in o.accepted_ids), None)


def clock(at: float) -> str:
    """UTC, as the programs' logs have it."""
    return datetime.fromtimestamp(at, UTC).strftime("%H:%M:%S.%f")[:-3]
