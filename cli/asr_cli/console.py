"""What the commands print: results on stdout, everything else on stderr."""

from __future__ import annotations

from typing import NoReturn

import typer


def fail(message: str, status: int = 1) -> NoReturn:
    """Print in one line what was wrong and what to do, and exit."""
    typer.secho(f"asr: {message}", err=True, fg="red")
    raise typer.Exit(status)


def say(message: str) -> None:
    """A line for the person at the terminal; never part of a result."""
    typer.echo(message, err=True)
