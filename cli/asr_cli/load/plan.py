"""What is to be done: plain data and arithmetic, without a clock."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

CLIENTS_STARTED_PER_SECOND = 1000
RAMP_PART_MOST = 0.1
SPARE_FILES = 64


@dataclass(frozen=True)
class LoadPlan:
    """The load that was asked for; `rate` in tasks/s, None for a closed loop."""

    concurrency: int
    seconds: float
    rate: float | None = None
    drain_seconds: float = 120.0

    @property
    def mode(self) -> str:
        return "closed loop" if self.rate is None else "open loop"

    def start_seconds(self, client: int) -> float:
        """When client number `client`, from 0, starts: a server accepts only so many at once."""
        ramp = min(self.concurrency / CLIENTS_STARTED_PER_SECOND, self.seconds * RAMP_PART_MOST)
        return ramp * client / self.concurrency

    def arrivals(self) -> Iterator[float]:
        """The seconds at which an open loop submits: evenly spaced, whatever the server does."""
        assert self.rate is not None
        number = 0
        while (at := number / self.rate) < self.seconds:
            yield at
            number += 1

    @property
    def open_files(self) -> int:
        """Descriptors that are needed: a connection for each client, and some to spare."""
        return self.concurrency + SPARE_FILES
