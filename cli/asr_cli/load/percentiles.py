"""Percentiles of measured seconds: pure.

The nearest rank (NIST/SEMATECH e-Handbook, 7.2.6.2 without interpolation): the smallest measured
value that at least p percent of all do not exceed. So every reported number was measured.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Percentiles:
    """`count` measurements in seconds; None where there are none."""

    count: int
    p50: float | None = None
    p90: float | None = None
    p95: float | None = None
    p99: float | None = None
    max: float | None = None


def nearest_rank(ordered: Sequence[float], percent: int) -> float:
    """The value at rank ⌈percent/100 · n⌉ of a sorted, non-empty sequence; `percent` is from 1."""
    rank = -(-percent * len(ordered) // 100)
    return ordered[rank - 1]


def percentiles(seconds: Iterable[float]) -> Percentiles:
    """The figures of a report, to the microsecond."""
    ordered = sorted(seconds)
    if not ordered:
        return Percentiles(0)
    p50, p90, p95, p99 = (round(nearest_rank(ordered, p), 6) for p in (50, 90, 95, 99))
    return Percentiles(len(ordered), p50, p90, p95, p99, round(ordered[-1], 6))
