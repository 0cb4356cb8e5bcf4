"""The queue on a terminal, and the same as plain data for `--json`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from asr_core.queue import Backlog, DeadLetterPage, WorkerRecord

_SIGNALS = {
    "no_stream": "nothing has been submitted to this pool yet",
    "no_group": "the stream has no consumer group yet; API and workers create it when they start",
}


def backlog_json(backlog: Backlog, workers: Sequence[WorkerRecord]) -> dict[str, Any]:
    """Everything that the tables show, and what they leave out."""
    return {**asdict(backlog), "workers": [asdict(worker) for worker in workers]}


def lanes_table(backlog: Backlog) -> Table:
    """One row per lane, and the sum of what has a sum."""
    whose = f", tenant {backlog.tenant}" if backlog.tenant else ""
    heads = ("lane", "waiting", "in flight", "orphans", "held", "audio")
    table = Table(*heads, title=f"pool {backlog.pool}{whose}")
    for lane, counts in backlog.lanes.items():
        numbers = (counts.waiting, counts.in_flight, counts.orphans, counts.held)
        table.add_row(lane.value, *map(str, numbers), duration(counts.audio_seconds))
    sums = (backlog.waiting, backlog.in_flight, backlog.orphans, backlog.held)
    table.add_section()
    table.add_row("all", *map(str, sums), duration(backlog.audio_seconds))
    return table


def workers_table(workers: Sequence[WorkerRecord]) -> Table:
    """One row per live worker."""
    table = Table("worker", "model", "device", "busy", "audio-s/s", "done", "", title="workers")
    for worker in workers:
        speed = f"{worker.throughput:.1f}" if worker.throughput else "–"
        load = f"{worker.busy}/{worker.slots}"
        notes = [worker.problem or "", "cordoned" if worker.cordoned else ""]
        table.add_row(
            Text(worker.worker),
            Text(worker.model),
            worker.device,
            load,
            speed,
            str(worker.tasks_done),
            Text(", ".join(filter(None, notes)), style="red" if worker.problem else ""),
        )
    return table


def backlog_tables(backlog: Backlog, workers: Sequence[WorkerRecord]) -> None:
    """Print lanes, workers, and what needs attention."""
    console = Console()
    console.print(lanes_table(backlog))
    console.print(workers_table(workers) if workers else "no live worker")
    if backlog.signal in _SIGNALS:
        console.print(_SIGNALS[backlog.signal])
    console.print(
        f"oldest wait {duration(backlog.oldest_wait_seconds)}, backing off {backlog.delayed} "
        f"({backlog.delayed_due} due), dead letters {backlog.dead}",
        highlight=False,
    )
    if not backlog.trusted:
        console.print("Redis started less than one lease ago: orphans are not known yet")


def dead_letters_json(page: DeadLetterPage) -> dict[str, Any]:
    """One page; `next_cursor` is empty at the end."""
    letters = [
        {
            "reason": letter.reason,
            "died_at": _utc(letter.died_at),
            **letter.task.model_dump(mode="json"),
        }
        for letter in page.letters
    ]
    return {"dead_letters": letters, "next_cursor": page.next_cursor}


def dead_letters_table(page: DeadLetterPage) -> None:
    """Print one page, and how to get the next."""
    console = Console()
    if not page.letters:
        console.print("no dead letters")
        return
    table = Table("task", "died", "attempts", "crashes", "audio", "file", "reason")
    for letter in page.letters:
        task = letter.task
        table.add_row(
            task.task_id,
            _utc(letter.died_at),
            str(task.attempt),
            str(task.crashes),
            duration(task.duration_seconds),
            Text(task.filename),
            Text(letter.reason),
        )
    console.print(table)
    if page.next_cursor:
        console.print(f"more: asr queue dead --cursor {page.next_cursor}", highlight=False)


def duration(seconds: float) -> str:
    """`7.5 s`, `12 min`, `3 h 20 min`."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02} min"


def _utc(unix_seconds: float) -> str:
    return datetime.fromtimestamp(unix_seconds, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
