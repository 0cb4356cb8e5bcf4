"""What a worker says that it takes of its machine."""

from __future__ import annotations

import subprocess
import sys

from asr_worker.engines.gpu import GpuUse, gpu_use
from asr_worker.process.resource_usage import ResourceMeter

MB = 1_000_000


def test_processor_time_is_told_since_the_look_before():
    times = iter([10.0, 12.0, 14.0])
    meter = ResourceMeter(lambda: None, clock=lambda: next(times))
    assert meter.read().cpu_percent is None
    meter._cpu_seconds = {pid: told - 1.0 for pid, told in meter._cpu_seconds.items()}
    percent = meter.read().cpu_percent
    assert percent is not None
    assert percent >= 50  # at least one second of each process in two


def test_memory_is_that_of_the_process_and_its_children():
    meter = ResourceMeter(lambda: None)
    alone = meter.read().memory_bytes
    holds = "x = bytearray(80_000_000); x[::4096] = b'1' * len(x[::4096]); print(1, flush=True)"
    child = subprocess.Popen(
        [sys.executable, "-c", f"{holds}; input()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with child:
        assert child.stdout
        child.stdout.readline()
        together = meter.read().memory_bytes
        child.communicate(b"\n")
    assert alone is not None
    assert together is not None
    assert together - alone > 70 * MB


def test_the_gpu_is_asked_only_where_the_engine_has_one():
    assert gpu_use("cpu") is None
    there = gpu_use("cuda:0")
    assert there is None or 0 < there.memory_bytes <= there.memory_total_bytes
    use = GpuUse(percent=50.0, memory_bytes=2 * MB, memory_total_bytes=8 * MB)
    assert ResourceMeter(lambda: use).read().gpu == use
