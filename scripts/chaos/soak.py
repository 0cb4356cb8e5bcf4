"""A long run under a steady load: samples of memory and work, and whether both stay flat."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

import redis.exceptions

from asr_core.errors import AsrError
from chaos.findings import Findings
from chaos.programs import resident_bytes
from chaos.quiet import count_open
from chaos.stage import Stage
from chaos.watch import Watcher

SAMPLE_SECONDS = 5.0
MIB = 1024 * 1024
# A heap breathes: allocators give back late, and a larger batch comes by chance.
FLAT_SHARE, FLAT_BYTES = 1.05, 8 * MIB
# Records stay for a week by default: Redis grows by them, and by nothing else.
BYTES_PER_TASK = 4096
RATE_SHARE = 0.9
OPEN_MARGIN = 20


@dataclass(frozen=True)
class Sample:
    """One moment: resident bytes by (program, pid), Redis's own count, tasks ended and open."""

    at_seconds: float
    resident: dict[tuple[str, int], int]
    redis_bytes: int
    ended: int
    open: int

    def as_fields(self) -> dict[str, Any]:
        """For JSON: resident bytes by program."""
        resident = {name: size for (name, _), size in self.resident.items()}
        return {**asdict(self), "resident": resident}


async def sample(
    stage: Stage, watcher: Watcher, samples: list[Sample], wanted: Callable[[], bool]
) -> None:
    """Append a sample every five seconds while they are wanted; Redis being away costs one."""
    began = time.monotonic()
    while wanted():
        with suppress(AsrError, redis.exceptions.RedisError, OSError):
            info: dict[str, Any] = await stage.connection.client.info("memory")
            totals = await stage.reader.totals()
            resident = {
                (program.name, program.pid): resident_bytes(program.pid)
                for program in stage.programs
                if program.pid is not None
            }
            ended = totals.completed + totals.failed + totals.cancelled
            open_now = await count_open(watcher)
            at = time.monotonic() - began
            samples.append(Sample(at, resident, int(info["used_memory"]), ended, open_now))
        await asyncio.sleep(SAMPLE_SECONDS)


@dataclass(frozen=True)
class Quarter:
    """What a quarter of the run looked like, by medians."""

    resident: dict[tuple[str, int], float]
    redis_bytes: float
    ended: float
    open: float
    per_minute: float

    @classmethod
    def of(cls, samples: Sequence[Sample]) -> Quarter:
        """Only processes that lived through the whole quarter are in `resident`."""
        through = set.intersection(*(set(sample.resident) for sample in samples))
        minutes = (samples[-1].at_seconds - samples[0].at_seconds) / 60
        return cls(
            resident={key: median(s.resident[key] for s in samples) for key in through},
            redis_bytes=median(sample.redis_bytes for sample in samples),
            ended=median(sample.ended for sample in samples),
            open=median(sample.open for sample in samples),
            per_minute=(samples[-1].ended - samples[0].ended) / minutes if minutes else 0.0,
        )


def second_and_last(samples: Sequence[Sample]) -> tuple[Quarter, Quarter] | None:
    """The second and the last quarter of the time; None for too few samples."""
    if len(samples) < 16:
        return None
    length = samples[-1].at_seconds - samples[0].at_seconds
    start = samples[0].at_seconds
    second = [s for s in samples if length / 4 <= s.at_seconds - start < length / 2]
    last = [s for s in samples if s.at_seconds - start >= length * 3 / 4]
    return Quarter.of(second), Quarter.of(last)


def judge_flat(samples: Sequence[Sample], findings: Findings) -> None:
    """Adds the checks of a soak."""
    quarters = second_and_last(samples)
    if quarters is None:
        findings.add("the soak is long enough to judge", len(samples), [("soak", "too short")])
        return
    second, last = quarters
    alive = second.resident.keys() & last.resident.keys() - _redis(second)
    findings.add("memory is flat", len(alive), _grown(second, last))
    findings.add("Redis grows by records alone", int(last.ended), _redis_grown(second, last))
    findings.add("the rate is flat", int(last.per_minute), _slower(second, last))


def describe(samples: Sequence[Sample]) -> list[str]:
    """The second and the last quarter as lines."""
    quarters = second_and_last(samples)
    if quarters is None:
        return []
    second, last = quarters
    lines = [f"  {'':24}{'second quarter':>16}{'last quarter':>16}"]
    for key in sorted(second.resident.keys() & last.resident.keys()):
        a, b = second.resident[key] / MIB, last.resident[key] / MIB
        lines.append(f"  {key[0] + ' resident':24}{a:>12.1f} MiB{b:>12.1f} MiB")
    a, b = second.redis_bytes / MIB, last.redis_bytes / MIB
    lines.append(f"  {'redis data':24}{a:>12.1f} MiB{b:>12.1f} MiB")
    lines.append(f"  {'tasks per minute':24}{second.per_minute:>16.1f}{last.per_minute:>16.1f}")
    lines.append(f"  {'tasks open':24}{second.open:>16.0f}{last.open:>16.0f}")
    return lines


def _redis(quarter: Quarter) -> set[tuple[str, int]]:
    return {key for key in quarter.resident if key[0] == "redis"}


def _grown(second: Quarter, last: Quarter) -> Iterator[tuple[str, str]]:
    for key in second.resident.keys() & last.resident.keys() - _redis(second):
        before, after = second.resident[key], last.resident[key]
        if after > before * FLAT_SHARE + FLAT_BYTES:
            yield key[0], f"from {before / MIB:.1f} to {after / MIB:.1f} MiB"
    for role in ("api", "worker"):
        if not any(key[0].startswith(role) for key in second.resident.keys() & last.resident):
            yield role, "none lived through both quarters"


def _redis_grown(second: Quarter, last: Quarter) -> Iterator[tuple[str, str]]:
    grown, tasks = last.redis_bytes - second.redis_bytes, last.ended - second.ended
    if grown > BYTES_PER_TASK * tasks + MIB:
        yield "redis", f"{grown / max(1, tasks):.0f} bytes per task"


def _slower(second: Quarter, last: Quarter) -> Iterator[tuple[str, str]]:
    if last.per_minute < RATE_SHARE * second.per_minute:
        yield "rate", f"from {second.per_minute:.1f} to {last.per_minute:.1f} tasks per minute"
    if last.open > second.open + OPEN_MARGIN:
        yield "backlog", f"from {second.open:.0f} to {last.open:.0f} open tasks"
