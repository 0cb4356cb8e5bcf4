"""The engine beside FunASR's own loop: the same files, weights and threads, in one process.

    python scripts/bench_engine.py [--files 40] [--seconds 5.6] [--rounds 3] [--threads 2]

A SenseVoiceSmall of full size (234 million weights, 25,055 tokens) is made on the spot: its cost
does not depend on what its weights are. `--seconds 0` draws lengths of 2 to 30 s as voice messages
have them. Each policy sees the same arrays; rounds alternate; medians are printed, as audio-seconds
per second and as a multiple of the plain loop over `AutoModel.generate`.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import platform
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from asr_cli.bench.random_models import write_model
from asr_core.settings import Precision
from asr_worker.engines.base import SegmentAudio
from asr_worker.engines.funasr_models import find_model
from asr_worker.engines.sensevoice import SenseVoiceEngine

SAMPLE_RATE = 16_000
Arrays = list[Any]


def recordings(count: int, seconds: float, seed: int) -> Arrays:
    """Noise: what is in them changes no cost. Equal lengths, or 2 to 30 s with a median of 6."""
    chance, noise = random.Random(seed), np.random.default_rng(seed)
    lengths = [
        seconds or min(30.0, max(2.0, chance.lognormvariate(1.8, 0.6))) for _ in range(count)
    ]
    return [
        (noise.standard_normal(int(length * SAMPLE_RATE)) * 0.05).astype(np.float32)
        for length in lengths
    ]


def automodel(folder: Path, threads: int, batch: int) -> Callable[[Arrays], None]:
    """FunASR as its documentation calls it: one file after another, or batches of its own."""
    from funasr import AutoModel

    with contextlib.redirect_stdout(io.StringIO()):
        model = AutoModel(
            model=str(folder), device="cpu", ncpu=threads, disable_update=True, disable_pbar=True,
            disable_log=True,
        )  # fmt: skip

    def run(arrays: Arrays) -> None:
        for first in range(0, len(arrays), batch):
            part = arrays[first : first + batch]
            model.generate(
                input=part if batch > 1 else part[0], batch_size=batch, cache={}, language="auto"
            )

    return run


def ours(
    folder: Path, threads: int, precision: Precision, batch_seconds: float
) -> Callable[[Arrays], None]:
    """The worker's engine on batches of similar length, as the worker plans them."""
    engine = SenseVoiceEngine(find_model(str(folder)), "cpu", threads, precision=precision)
    engine.load()

    def run(arrays: Arrays) -> None:
        waiting = sorted(arrays, key=len, reverse=True)
        while waiting:
            count = max(1, int(batch_seconds * SAMPLE_RATE / len(waiting[0])))
            engine.transcribe([SegmentAudio(array) for array in waiting[:count]])
            waiting = waiting[count:]

    return run


def measure(arguments: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Audio-seconds per second of each policy in each round."""
    arrays = recordings(arguments.files, arguments.seconds, arguments.seed)
    audio_seconds = sum(map(len, arrays)) / SAMPLE_RATE
    threads = arguments.threads
    policies = {
        "AutoModel, a loop": automodel(folder, threads, 1),
        "AutoModel, batches of 16": automodel(folder, threads, 16),
        "this engine, float32": ours(folder, threads, "float32", arguments.batch_seconds),
    }
    if torch.cpu._is_vnni_supported():
        policies["this engine, int8"] = ours(folder, threads, "int8", arguments.batch_seconds)
    torch.set_num_threads(threads)
    rates: dict[str, list[float]] = {name: [] for name in policies}
    for run in policies.values():
        run(arrays[:2])
    for _ in range(arguments.rounds):
        for name, run in policies.items():
            started = time.perf_counter()
            run(arrays)
            rates[name].append(audio_seconds / (time.perf_counter() - started))
    return {
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, torch {torch.__version__}",
        "threads": threads,
        "files": len(arrays),
        "audio_seconds": audio_seconds,
        "rates": rates,
    }


def show(found: dict[str, Any]) -> None:
    print(
        f"{found['files']} files, {found['audio_seconds']:.0f} s of audio, "
        f"{found['threads']} threads; {found['machine']}"
    )
    loop = found["rates"]["AutoModel, a loop"]
    for name, rates in found["rates"].items():
        ratio = statistics.median(a / b for a, b in zip(rates, loop, strict=True))
        print(f"{name:<26} {statistics.median(rates):7.1f} x real time  {ratio:5.2f} x the loop")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--files", type=int, default=40)
    parser.add_argument("--seconds", type=float, default=5.6, help="of each; 0: 2 to 30 s")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--batch-seconds", type=float, default=60.0, help="of our batches")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path, help="write the figures here, too")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        write_model(Path(name), "SenseVoiceSmall")
        found = measure(arguments, Path(name))
    show(found)
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
