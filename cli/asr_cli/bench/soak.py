"""Whether the thousandth batch is as fast as the tenth, and memory stays where it was.

FunASR's AutoModel is known to slow down and to grow with the number of its calls; this asks the
same of the engine, in one process, on batches of ever new lengths.
"""

from __future__ import annotations

import resource
import statistics
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from asr_cli.bench.audio import as_floats, recordings
from asr_cli.bench.engine import EngineOrder, load, model_folder
from asr_cli.bench.lengths import drawn
from asr_cli.bench.report import Finding, Series

_WINDOWS: Final = 10
_MIB: Final = 1024 * 1024


@dataclass(frozen=True)
class _Window:
    rates: list[float]
    resident_mib: float
    device_mib: float


def measure(order: EngineOrder, batches: int) -> Finding:
    """Medians of ten parts of the batches: the first warms up, the second is the base."""
    with model_folder(order.model) as folder:
        engine = load(order, folder, "float32")
    each = max(batches // _WINDOWS, 1)
    windows = [_run(engine, order, each, seed=number) for number in range(_WINDOWS)]
    series = [Series(f"up to batch {(n + 1) * each}", w.rates) for n, w in enumerate(windows)]
    return Finding(
        title=f"Soak, {order.model}",
        command=f"asr bench soak --model {order.model} --batches {batches}",
        conditions={
            "batches": each * _WINDOWS, "seconds a batch": order.batch_seconds,
            "threads": order.threads,
        },
        unit="times real time",
        series=[*series[2:], series[1]],
        details={
            "resident memory, MiB": " ".join(f"{w.resident_mib:.0f}" for w in windows),
            "device memory, MiB": " ".join(f"{w.device_mib:.0f}" for w in windows),
        },
    )  # fmt: skip


def _run(engine: Any, order: EngineOrder, batches: int, *, seed: int) -> _Window:
    rates = []
    for batch in _batches(order, batches, seed):
        audio_seconds = sum(segment.seconds for segment in batch)
        started = time.perf_counter()
        engine.transcribe(batch)
        rates.append(audio_seconds / (time.perf_counter() - started))
    return _Window([statistics.median(rates)], resident_mib(), _device_mib())


def _batches(order: EngineOrder, batches: int, seed: int) -> Iterator[list[Any]]:
    """Segments of new lengths each time, and as many of them as the budget holds."""
    from asr_worker.engines.base import SegmentAudio

    for number in range(batches):
        lengths = drawn("messages", 200, 1000 * seed + number)
        longest = max(lengths[:4])
        count = max(1, int(order.batch_seconds / longest))
        chosen = [min(length, longest) for length in lengths[:count]]
        yield [SegmentAudio(as_floats(each)) for each in recordings(chosen, seed)]


def resident_mib() -> float:
    """Of this process, now; the peak so far where the system reports only that."""
    try:
        with open("/proc/self/status") as status:
            line = next(each for each in status if each.startswith("VmRSS:"))
        return int(line.split()[1]) / 1024
    except OSError:
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most / (_MIB if sys.platform == "darwin" else 1024)


def _device_mib() -> float:
    import torch

    return torch.cuda.memory_allocated() / _MIB if torch.cuda.is_available() else 0.0
