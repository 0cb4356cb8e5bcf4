"""How much a worker may claim, and how much it can finish in a drain. Pure: no I/O, no clock.

Audio seconds are seconds to transcribe: a file split into two channels counts twice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from asr_core.task import Lane

Key = TypeVar("Key", bound=Hashable)

BATCHES_IN_FLIGHT = 2
GPU_BATCH_SECONDS = 500.0
# Larger batches exceed a CPU's caches: 500 s ran at a quarter of the rate of 60 s.
CPU_BATCH_SECONDS = 60.0
# Whisper's decoder gains from more rows: long audio took three quarters of its time with 60 s.
WINDOWS_PER_CPU_BATCH = 10
GATHER_SECONDS = 0.05
REAP_SECONDS = 5.0
RESERVED_TASKS = 16
_DRAIN_SHARE = 0.8


@dataclass(frozen=True)
class Capacity:
    """What may be claimed now, in audio-seconds and in tasks.

    With `kept_for`, only interactive tasks of tenants that have few in flight; it counts those.
    """

    seconds: float
    tasks: int
    kept_for: Mapping[str, int] | None = None

    def __bool__(self) -> bool:
        return self.seconds > 0 and self.tasks > 0


def batch_seconds_on(
    device: str, configured: float | None, *, window_seconds: float = 0.0
) -> float:
    """Padded audio-seconds of a batch: as configured, else the default of the device.

    `window_seconds` is what the engine computes for the shortest segment.
    """
    if device != "cpu":
        return configured or GPU_BATCH_SECONDS
    return configured or max(CPU_BATCH_SECONDS, WINDOWS_PER_CPU_BATCH * window_seconds)


def remaining_capacity(
    left_seconds: Iterable[float], *, batch_seconds: float, max_tasks: int
) -> Capacity:
    """Two batches of audio less what is in flight; `left_seconds` holds what each task still needs.

    A task counts as one batch at most: batches mix tasks, so a ten-hour recording does not keep a
    worker from claiming the short request behind it.
    """
    left = [min(seconds, batch_seconds) for seconds in left_seconds]
    return Capacity(BATCHES_IN_FLIGHT * batch_seconds - sum(left), max_tasks - len(left))


def reserved_capacity(
    in_flight: Iterable[tuple[Lane, str]], *, batch_seconds: float, max_tasks: int
) -> Capacity:
    """Capacity for interactive tasks once the rest is used up; `in_flight` holds the lane and the
    tenant of each task.

    Recordings that are long, or slow to decode, can fill a worker for hours. Interactive tasks do
    not wait for them, and a tenant does not get more by submitting many.
    """
    tasks_in_flight = list(in_flight)
    interactive = Counter(tenant for lane, tenant in tasks_in_flight if lane is Lane.INTERACTIVE)
    tasks = min(RESERVED_TASKS, max_tasks + RESERVED_TASKS - len(tasks_in_flight))
    return Capacity(batch_seconds, tasks, interactive)


def should_gather(*, is_full: bool, lanes: Iterable[Lane], more_coming: bool) -> bool:
    """Whether an idle engine waits briefly for a fuller batch: only while more tasks are preparing
    segments, and never with an interactive task, which starts at once.
    """
    return more_coming and not is_full and Lane.INTERACTIVE not in lanes


@dataclass(frozen=True)
class Unfinished(Generic[Key]):
    """One task at the moment of a drain."""

    key: Key
    left_seconds: float


def fits(tasks: Sequence[Unfinished[Key]], *, throughput: float, grace_seconds: float) -> set[Key]:
    """The tasks that a draining worker keeps: shortest first, as many as the grace period allows.

    `throughput` is in audio-seconds per second. At 0 nothing has been measured: all tasks are kept,
    and those unfinished at the end of the grace period are released.
    """
    if grace_seconds <= 0:
        return set()
    if throughput <= 0:
        return {task.key for task in tasks}
    budget = throughput * grace_seconds * _DRAIN_SHARE
    kept: set[Key] = set()
    for task in sorted(tasks, key=lambda task: task.left_seconds):
        budget -= task.left_seconds
        if budget < 0:
            break
        kept.add(task.key)
    return kept


def reap_every_seconds(lease_seconds: float) -> float:
    """Five seconds, or half of a shorter lease."""
    return min(REAP_SECONDS, lease_seconds / 2)


class Throughput:
    """Audio-seconds per second of the engine; older batches are weighted down exponentially."""

    def __init__(self, *, half_life_seconds: float = 60.0) -> None:
        self._half_life = half_life_seconds
        self._audio = 0.0
        self._busy = 0.0

    def add(self, audio_seconds: float, busy_seconds: float) -> None:
        fading = 0.5 ** (busy_seconds / self._half_life)
        self._audio = self._audio * fading + audio_seconds
        self._busy = self._busy * fading + busy_seconds

    @property
    def audio_seconds_per_second(self) -> float:
        """0 while nothing has been measured."""
        return self._audio / self._busy if self._busy > 0 else 0.0
