"""What `asr up` shows: steps with a spinner on a terminal, plain lines anywhere else."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape


class UpConsole:
    """Progress goes to stderr; the transcript and the addresses, which are results, to stdout."""

    def __init__(self) -> None:
        self._out = Console(highlight=False, soft_wrap=True)
        self._err = Console(stderr=True, highlight=False, soft_wrap=True)

    def print(self, text: str = "") -> None:
        self._out.print(text, markup=False)

    def note(self, text: str) -> None:
        self._err.print(text, markup=False)

    def problem(self, text: str) -> None:
        self._err.print(f"[red]asr: {escape(text)}[/red]")

    def echo(self, program: str, line: str) -> None:
        """A line of a program's log (`--verbose`)."""
        self._err.print(f"[dim]{escape(program)} |[/dim] {escape(line)}")

    @contextmanager
    def step(self, doing: str) -> Iterator[Callable[[str], None]]:
        """One step; yields what changes its text. After success the text and its duration stay."""
        text = doing
        started_at = time.monotonic()
        if not self._err.is_terminal:
            self._err.print(f"  … {escape(doing)}")
        with self._err.status(escape(doing)) as status:

            def change(now: str) -> None:
                nonlocal text
                text = now
                status.update(escape(now))

            yield change
        took_seconds = time.monotonic() - started_at
        self._err.print(f"  [green]✓[/green] {escape(text)} [dim]({took_seconds:.1f} s)[/dim]")
