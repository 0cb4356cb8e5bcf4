"""Progress of a download, on stderr: a bar on a terminal, a line per 10 % on a pipe."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.table import Column

_TENTHS = 10


def megabytes(size: int) -> str:
    """As people read it: `146 MB`."""
    return f"{size / 1e6:,.0f} MB" if size >= 1e6 else f"{size / 1e3:,.0f} kB"


class FetchConsole:
    """Notes, problems, and a bar for one file at a time."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False, soft_wrap=True)

    def note(self, text: str) -> None:
        self._console.print(f"  {escape(text)}")

    def problem(self, text: str) -> None:
        """Of one source: the next one is tried."""
        self._console.print(f"  [yellow]{escape(text)}[/yellow]")

    @contextmanager
    def bar(self, label: str, total: int, done: int) -> Iterator[Callable[[int], None]]:
        """Yields what is called with all the bytes that are there."""
        if not self._console.is_terminal:
            yield self._lines(label, total, done)
            return
        narrow = Column(no_wrap=True, overflow="ellipsis", max_width=26)
        columns = (
            TextColumn("  {task.description}", markup=False, table_column=narrow),
            BarColumn(bar_width=16),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=self._console, transient=True) as progress:
            line = progress.add_task(label, total=total or None, completed=done)
            yield lambda there: progress.update(line, completed=there)

    def _lines(self, label: str, total: int, done: int) -> Callable[[int], None]:
        kept = f", {megabytes(done)} already downloaded" if done else ""
        self.note(f"{label}: {megabytes(total) if total else 'size not known'}{kept}")
        told = done * _TENTHS // total if total else _TENTHS

        def advance(there: int) -> None:
            nonlocal told
            tenth = there * _TENTHS // total if total else told
            if tenth > told:
                told = tenth
                self.note(f"{label}: {tenth * _TENTHS} %")

        return advance
