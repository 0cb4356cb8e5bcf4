"""A worker, from the store to recorded results, beside a plain loop over `AutoModel.generate`.

The loop has the samples in memory and stores nothing; the worker claims, reads, decodes, batches,
and records each result. Both have the same files, weights and threads; rounds alternate.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import uuid_utils

from asr_cli.bench.audio import SAMPLE_RATE, as_floats, recordings, wav
from asr_cli.bench.engine import automodel, model_folder
from asr_cli.bench.lengths import drawn
from asr_cli.bench.platform import BenchPlatform
from asr_cli.bench.report import Finding, Series
from asr_cli.errors import ProgramEnded
from asr_core.queue import BacklogReader, Producer, RedisConnection
from asr_core.task import NewTask, audio_path


@dataclass(frozen=True)
class WorkerOrder:
    """What to measure. `model` as for the engine."""

    model: str
    files: int
    lengths: str
    rounds: int
    threads: int
    use_gpu: bool | None
    seed: int


def measure(order: WorkerOrder) -> Finding:
    """Audio-seconds per second, and how much of the time the model was at work."""
    with model_folder(order.model) as folder:
        return asyncio.run(_measure(order, folder))


async def _measure(order: WorkerOrder, folder: str) -> Finding:
    samples = recordings(drawn(order.lengths, order.files, order.seed), order.seed)
    audio_seconds = sum(map(len, samples)) / SAMPLE_RATE
    ours, theirs = Series("this worker"), Series("AutoModel, a loop")
    busy: list[float] = []
    with BenchPlatform(threads=order.threads, model=folder, use_gpu=order.use_gpu) as platform:
        for _ in range(order.rounds):
            with platform.worker():
                await through(platform, samples[:8])
                before = await platform.engine_seconds()
                seconds = await through(platform, samples)
                busy.append((await platform.engine_seconds() - before) / seconds)
                latencies = [await through(platform, samples[:1]) for _ in range(20)]
            ours.rounds.append(audio_seconds / seconds)
            theirs.rounds.append(audio_seconds / _loop_in_a_process(order, folder, platform))
    return Finding(
        title=f"Worker, {order.model}",
        command=f"asr bench worker --model {order.model} --lengths {order.lengths}",
        conditions={
            "files": len(samples), "seconds of audio": round(audio_seconds),
            "lengths": order.lengths, "threads": order.threads,
        },
        unit="times real time",
        series=[ours, theirs],
        details={
            "time in which the model worked": f"{statistics.median(busy):.1%}",
            f"one recording of {len(samples[0]) / SAMPLE_RATE:.1f} s at an idle worker, "
            "submit to result": f"{statistics.median(latencies) * 1000:.0f} ms",
        },
    )  # fmt: skip


async def through(platform: BenchPlatform, samples: Sequence[Any]) -> float:
    """Seconds from the first submit to the last result recorded, with one worker up and idle."""
    connection = RedisConnection(platform.redis_settings)
    producer = Producer(connection, platform.queue_settings)
    reader = BacklogReader(connection, platform.queue_settings)
    await producer.prepare()
    while not await reader.workers():
        platform.check()
        await asyncio.sleep(0.1)
    tasks = [await _stored(platform, each) for each in samples]
    wanted = (await reader.totals()).completed + len(tasks)
    started = time.perf_counter()
    await asyncio.gather(*(producer.submit(task) for task in tasks))
    while (totals := await reader.totals()).completed < wanted:
        if totals.failed:
            raise ProgramEnded(f"{totals.failed} tasks failed during the measurement")
        platform.check()
        await asyncio.sleep(0.005)
    seconds = time.perf_counter() - started
    await connection.close()
    return seconds


async def _stored(platform: BenchPlatform, samples: Any) -> NewTask:
    task_id, body = str(uuid_utils.uuid7()), wav(samples)
    await platform.store.put(audio_path(task_id), body)
    return NewTask(
        task_id=task_id, bytes=len(body), duration_seconds=len(samples) / SAMPLE_RATE
    )  # fmt: skip


def _loop_in_a_process(order: WorkerOrder, folder: str, platform: BenchPlatform) -> float:
    """In a process of its own, as the worker is."""
    command = [sys.executable, "-m", "asr_cli.bench.worker", json.dumps([folder, asdict(order)])]
    done = subprocess.run(
        command, env=platform.environment, stdout=subprocess.PIPE, check=True, text=True
    )
    return float(done.stdout.split()[-1])


def _loop_seconds(folder: str, order: WorkerOrder) -> float:
    import torch

    from asr_worker.engines.funasr_models import pick_device

    seconds = drawn(order.lengths, order.files, order.seed)
    arrays = [as_floats(each) for each in recordings(seconds, order.seed)]
    torch.set_num_threads(order.threads)
    device = pick_device(order.use_gpu)  # the worker's
    run = automodel(folder, device, order.threads, arrays, batch=1)
    run()  # the first pass pays for what is made once
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


if __name__ == "__main__":
    _folder, _order = json.loads(sys.argv[1])
    print(_loop_seconds(_folder, WorkerOrder(**_order)))
