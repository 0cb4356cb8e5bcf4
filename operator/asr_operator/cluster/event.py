"""Kubernetes events on a WorkerPool. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Event:
    """One event, before it is posted."""

    reason: str
    note: str
    action: str
    warning: bool = False
