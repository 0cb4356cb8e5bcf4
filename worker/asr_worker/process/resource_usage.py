"""CPU, memory and GPU use of this worker."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import psutil

from asr_worker.engines.gpu import GpuUse


@dataclass(frozen=True)
class ResourceUse:
    """CPU and memory of the process and its decoders; 100 % of CPU is one core. None is unknown, as
    CPU is before the second reading.
    """

    cpu_percent: float | None
    memory_bytes: int | None
    gpu: GpuUse | None


class ResourceMeter:
    """Reads the process tree as it is now; CPU is averaged since the previous reading."""

    def __init__(
        self,
        gpu: Callable[[], GpuUse | None],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._gpu = gpu
        self._clock = clock
        self._process = psutil.Process()
        self._read_at: float | None = None
        self._cpu_seconds: dict[int, float] = {}

    def read(self) -> ResourceUse:
        """Takes milliseconds: do not call it on an event loop."""
        memory_bytes = 0
        cpu_seconds: dict[int, float] = {}
        for process in (self._process, *self._process.children(recursive=True)):
            with suppress(psutil.Error), process.oneshot():  # a decoder may end at any time
                memory_bytes += process.memory_info().rss
                times = process.cpu_times()
                cpu_seconds[process.pid] = times.user + times.system
        return ResourceUse(self._cpu_percent(cpu_seconds), memory_bytes, self._gpu())

    def _cpu_percent(self, cpu_seconds: dict[int, float]) -> float | None:
        """The last CPU seconds of a process that ended in between are not counted."""
        before, read_at = self._cpu_seconds, self._read_at
        self._cpu_seconds, self._read_at = cpu_seconds, self._clock()
        if read_at is None or self._read_at <= read_at:
            return None
        used = sum(max(0.0, now - before.get(pid, 0.0)) for pid, now in cpu_seconds.items())
        return round(100 * used / (self._read_at - read_at), 1)
