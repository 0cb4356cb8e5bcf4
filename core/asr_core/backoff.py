"""Pauses that grow. Pure."""

from __future__ import annotations


def backoff_seconds(failures: int, *, first: float, most: float) -> float:
    """The pause after `failures` earlier ones in a row: it doubles, from `first` up to `most`."""
    return min(most, first * 2.0 ** min(failures, 30))
