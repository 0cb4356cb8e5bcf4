"""The progress bar of many files, on stderr; silent where stderr is no terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn


class FileProgress:
    """A bar over all files, and below it a line for each file under way."""

    def __init__(self, total: int) -> None:
        console = Console(stderr=True)
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TaskProgressColumn(),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            redirect_stdout=False,
            disable=not console.is_terminal,
        )
        self._total = total
        self._done = 0
        self._all = self._progress.add_task(self._count(), total=total) if total > 1 else None

    def _count(self) -> str:
        return f"{self._done} of {self._total} files"

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._progress.stop()

    def print(self, text: str) -> None:
        """A result on stdout, above the bar if both go to one terminal."""
        if self._progress.disable or not sys.stdout.isatty():
            sys.stdout.write(text + "\n")
            sys.stdout.flush()
        else:
            self._progress.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def note(self, text: str) -> None:
        """A line on stderr, above the bar."""
        self._progress.console.print(text, markup=False, highlight=False, soft_wrap=True)

    @contextmanager
    def file(self, name: str) -> Iterator[Callable[[str, float], None]]:
        """A line for one file; yields what is called with its state and the part that is done."""
        line = self._progress.add_task(f"{name}: uploading", total=1.0)

        def advance(state: str, fraction: float) -> None:
            self._progress.update(line, description=f"{name}: {state}", completed=fraction)

        try:
            yield advance
        finally:
            self._progress.remove_task(line)
            self._done += 1
            if self._all is not None:
                self._progress.update(self._all, completed=self._done, description=self._count())
