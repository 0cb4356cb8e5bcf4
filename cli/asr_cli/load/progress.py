"""What is seen of a running load, on stderr: a bar on a terminal, elsewhere lines."""

from __future__ import annotations

import asyncio
import time
from collections import deque

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from asr_cli.load.traffic import Traffic

_TICK_SECONDS = 0.25
_RATE_SECONDS = 5.0
_LINES_IN_A_RUN = 20
_LINE_SECONDS_LEAST, _LINE_SECONDS_MOST = 0.5, 10.0


class RecentRate:
    """Completed tasks per second over the last few seconds."""

    def __init__(self, seconds: float) -> None:
        self._seen = deque([(seconds, 0)])

    def at(self, seconds: float, completed: int) -> float:
        """The rate now; `seconds` on the clock of the beginning."""
        self._seen.append((seconds, completed))
        while seconds - self._seen[0][0] > _RATE_SECONDS:
            self._seen.popleft()
        began, before = self._seen[0]
        return (completed - before) / (seconds - began) if seconds > began else 0.0


def line_seconds(run_seconds: float) -> float:
    """Seconds between two lines: some twenty in a run, but none every instant nor every hour."""
    return min(max(run_seconds / _LINES_IN_A_RUN, _LINE_SECONDS_LEAST), _LINE_SECONDS_MOST)


async def show_progress(traffic: Traffic) -> None:
    """Until it is cancelled."""
    console = Console(stderr=True, highlight=False)
    if console.is_terminal:
        await _bar(traffic, console)
    else:
        await _lines(traffic, console)


async def _lines(traffic: Traffic, console: Console) -> None:
    rate = RecentRate(time.monotonic())
    pause_seconds = line_seconds(traffic.plan.seconds)
    while True:
        await asyncio.sleep(pause_seconds)
        console.print(f"{_phase(traffic)}: {_counts(traffic, rate)}", markup=False, soft_wrap=True)


async def _bar(traffic: Traffic, console: Console) -> None:
    rate = RecentRate(time.monotonic())
    columns = (TextColumn("{task.description}", markup=False), BarColumn(bar_width=20))
    with Progress(*columns, console=console, transient=True, redirect_stdout=False) as progress:
        bar = progress.add_task("", total=1.0)
        while True:
            plan = traffic.plan
            if traffic.draining:
                part = traffic.drain_seconds / plan.drain_seconds if plan.drain_seconds else 1.0
            else:
                part = traffic.load_seconds / plan.seconds
            text = f"{_phase(traffic)}: {_counts(traffic, rate)}"
            progress.update(bar, completed=part, description=text)
            await asyncio.sleep(_TICK_SECONDS)


def _phase(traffic: Traffic) -> str:
    if traffic.draining:
        return f"draining {traffic.drain_seconds:.0f} s"
    return f"{traffic.load_seconds:.0f} of {traffic.plan.seconds:g} s"


def _counts(traffic: Traffic, rate: RecentRate) -> str:
    ledger = traffic.ledger
    per_second = rate.at(time.monotonic(), ledger.completed)
    parts = [
        f"submitted {ledger.submitted}",
        f"completed {ledger.completed}",
        f"in flight {ledger.in_flight}",
        f"{per_second:.1f} tasks/s",
        f"errors {ledger.errors}",
    ]
    if failed := ledger.states["failed"]:
        parts.append(f"failed {failed}")
    if ledger.lost:
        parts.append(f"LOST {len(ledger.lost)}")
    return ", ".join(parts)
