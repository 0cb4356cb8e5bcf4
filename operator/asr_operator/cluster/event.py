"""An event on a WorkerPool, before it is posted. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Event:
    """One event on the WorkerPool."""

    reason: str
    note: str
    action: str
    warning: bool = False
