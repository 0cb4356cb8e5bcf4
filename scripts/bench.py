"""Benchmarks, side by side in one run: the queue through the API, and the worker against AutoModel.

    python scripts/bench.py [--files 120] [--rounds 3] [--tasks 1000] [--json PATH]

`api+queue`: small files over HTTP to a real API, claimed and finished by a bare consumer.
`worker`: audio in the store to result recorded, by one real worker process; beside it a plain loop
over `AutoModel.generate` with the same files, weights and threads. Rounds alternate; medians are
printed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import random
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import wave
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files as package_files
from pathlib import Path

import httpx
import numpy as np
import uuid_utils

from asr_core.queue import BacklogReader, Consumer, Finish, Producer, RedisConnection, WorkerRecord
from asr_core.settings import QueueSettings, RedisSettings
from asr_core.store import Store
from asr_core.task import NewTask, audio_path

SAMPLE_RATE = 16_000
EMBEDDED_FOLDER = Path(str(package_files("asr_worker"))) / "embedded"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Platform:
    """A private Redis and a folder store in `folder`."""

    def __init__(self, folder: Path, threads: int) -> None:
        self.folder = folder
        self.redis_port = free_port()
        self.api_port = free_port()
        self.environment = {
            **os.environ,
            "REDIS_HOST": "127.0.0.1",
            "REDIS_PORT": str(self.redis_port),
            "ASR_STORE_URL": (folder / "store").as_uri(),
            "ASR_API_PORT": str(self.api_port),
            "ASR_LOG_LEVEL": "ERROR",
            "ASR_CPU_THREADS": str(threads),
            "ASR_USE_GPU": "false",
            "OMP_NUM_THREADS": str(threads),
        }
        self.settings = RedisSettings(_env_file=None, REDIS_PORT=self.redis_port)
        self.children: dict[subprocess.Popen[bytes], Path] = {}
        self.queue_settings = QueueSettings(_env_file=None)
        self.store = Store.open(self.environment["ASR_STORE_URL"])

    @contextmanager
    def running(self, *command: str) -> Iterator[subprocess.Popen[bytes]]:
        """A child of the platform; what it says goes to a file."""
        log = self.folder / f"{len(self.children)}.log"
        with log.open("wb") as file:
            process = subprocess.Popen(command, env=self.environment, stdout=file, stderr=file)
        self.children[process] = log
        try:
            yield process
        finally:
            del self.children[process]
            process.terminate()
            process.wait(60)

    def check(self) -> None:
        """Ends the benchmark with a child's last words if one has died."""
        for process, log in self.children.items():
            if process.poll() is not None:
                sys.exit(
                    f"{process.args} ended with {process.returncode}:\n{log.read_text()[-2000:]}"
                )

    def redis(self) -> tuple[str, ...]:
        program = shutil.which("redis-server") or shutil.which("valkey-server")
        if not program:
            sys.exit("bench needs redis-server on PATH; `make test` installs it")
        return (
            program, "--port", str(self.redis_port), "--bind", "127.0.0.1", "--dir",
            str(self.folder), "--save", "", "--appendonly", "yes", "--appendfsync", "always",
            "--loglevel", "warning",
        )  # fmt: skip


def recordings(count: int, seed: int) -> list[np.ndarray]:
    """Speech from the bundled recording, as long as voice messages and call turns: 2 to 30 s."""
    with wave.open(str(EMBEDDED_FOLDER / "demo.wav")) as demo:
        speech = np.frombuffer(demo.readframes(demo.getnframes()), np.int16)
    chance = random.Random(seed)
    made = []
    for _ in range(count):
        seconds = min(30.0, max(2.0, chance.lognormvariate(1.8, 0.6)))
        start = chance.randrange(len(speech))
        made.append(np.resize(np.roll(speech, -start), int(seconds * SAMPLE_RATE)))
    return made


def wav_bytes(samples: np.ndarray, path: Path) -> bytes:
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, SAMPLE_RATE, 0, "NONE", ""))
        file.writeframes(samples.tobytes())
    return path.read_bytes()


async def until_ready(platform: Platform) -> None:
    async with httpx.AsyncClient() as client:
        while True:
            platform.check()
            try:
                if (await client.get(f"http://127.0.0.1:{platform.api_port}/readyz")).is_success:
                    return
            except httpx.TransportError:
                pass
            await asyncio.sleep(0.1)


async def through_api(platform: Platform, tasks: int, concurrency: int = 32) -> dict[str, float]:
    """Submits `tasks` one-second files over HTTP; a bare consumer claims and finishes them."""
    body = wav_bytes(np.zeros(SAMPLE_RATE, np.int16), platform.folder / "second.wav")
    consumer = Consumer(
        RedisConnection(platform.settings), platform.queue_settings, pool="default", name="bench"
    )
    await consumer.prepare()
    await consumer.beat(bare_record(consumer))
    gate = asyncio.Semaphore(concurrency)
    latencies: list[float] = []

    async def submit(client: httpx.AsyncClient) -> None:
        async with gate:
            started = time.perf_counter()
            reply = await client.post("/api/v1/asr/submit", files={"audio": ("a.wav", body)})
            reply.raise_for_status()
            latencies.append(time.perf_counter() - started)

    async def drain() -> None:
        done = 0
        while done < tasks:
            claims = await consumer.claim(room_seconds=1e6, room_tasks=64, in_hand=0)
            finishes = [Finish(c.task.task_id, c.token, "results/none", 0.0) for c in claims]
            done += len(await consumer.finish(finishes))
            if not claims:
                await asyncio.sleep(0.01)

    base_url = f"http://127.0.0.1:{platform.api_port}"
    async with httpx.AsyncClient(base_url=base_url, timeout=60) as client:
        started = time.perf_counter()
        await asyncio.gather(drain(), *(submit(client) for _ in range(tasks)))
        seconds = time.perf_counter() - started
    await consumer.leave()
    return {
        "tasks_per_second": tasks / seconds,
        "submit_p50_ms": 1000 * statistics.median(latencies),
        "submit_p99_ms": 1000 * statistics.quantiles(latencies, n=100)[98],
    }


def bare_record(consumer: Consumer) -> WorkerRecord:
    return WorkerRecord(
        consumer=consumer.name, worker="bench", pool="default", slots=1, busy=0,
        in_flight_seconds=0, throughput=0, startup_seconds=0, model="", engine="", device="",
        version="", tasks_done=0, started_at=time.time(),
    )  # fmt: skip


async def bare_queue(platform: Platform, tasks: int) -> dict[str, float]:
    """Submit, claim and finish without HTTP or store: what the scripts and Redis allow."""
    connection = RedisConnection(platform.settings)
    producer = Producer(connection, platform.queue_settings)
    consumer = Consumer(connection, platform.queue_settings, pool="default", name="bench-bare")
    await producer.prepare()
    await consumer.beat(bare_record(consumer))
    started = time.perf_counter()
    for first in range(0, tasks, 50):
        new = (
            NewTask(task_id=str(uuid_utils.uuid7()), bytes=1, duration_seconds=1)
            for _ in range(min(50, tasks - first))
        )
        await asyncio.gather(*(producer.submit(task) for task in new))
    submitted = time.perf_counter()
    done = 0
    while done < tasks:
        claims = await consumer.claim(room_seconds=1e6, room_tasks=64, in_hand=0)
        done += len(
            await consumer.finish([Finish(c.task.task_id, c.token, "none", 0.0) for c in claims])
        )
    finished = time.perf_counter()
    await consumer.leave()
    await connection.close()
    return {
        "submits_per_second": tasks / (submitted - started),
        "claims_and_finishes_per_second": tasks / (finished - submitted),
    }


async def worker_seconds(platform: Platform, files: list[np.ndarray]) -> float:
    """Seconds from the first submit to the last result recorded, with one worker up and idle."""
    connection = RedisConnection(platform.settings)
    producer = Producer(connection, platform.queue_settings)
    reader = BacklogReader(connection, platform.queue_settings)
    await producer.prepare()
    while not await reader.workers():
        platform.check()
        await asyncio.sleep(0.1)
    tasks = []
    for samples in files:
        task_id = str(uuid_utils.uuid7())
        body = wav_bytes(samples, platform.folder / "file.wav")
        await platform.store.put(audio_path(task_id), body)
        seconds = len(samples) / SAMPLE_RATE
        tasks.append(NewTask(task_id=task_id, bytes=len(body), duration_seconds=seconds))
    before = (await reader.totals()).completed
    started = time.perf_counter()
    await asyncio.gather(*(producer.submit(task) for task in tasks))
    while (await reader.totals()).completed < before + len(files):
        if (failed := (await reader.totals()).failed) > 0:
            sys.exit(f"{failed} tasks failed during the benchmark")
        platform.check()
        await asyncio.sleep(0.02)
    seconds = time.perf_counter() - started
    await connection.close()
    return seconds


def automodel_seconds(files: list[np.ndarray], threads: int) -> float:
    """A plain loop over `AutoModel.generate`, model already loaded and warm."""
    import torch
    from funasr import AutoModel

    model = AutoModel(
        model=str(EMBEDDED_FOLDER),
        device="cpu",
        ncpu=threads,
        disable_update=True,
        disable_pbar=True,
    )
    torch.set_num_threads(threads)
    arrays = [samples.astype(np.float32) / 32768 for samples in files]
    model.generate(input=arrays[0], cache={}, language="auto")
    started = time.perf_counter()
    for array in arrays:
        model.generate(input=array, cache={}, language="auto")
    return time.perf_counter() - started


def loop_in_a_process(platform: Platform, arguments: argparse.Namespace) -> float:
    command = [sys.executable, __file__, "--loop-only", "--files", str(arguments.files)]
    command += ["--threads", str(arguments.threads), "--seed", str(arguments.seed)]
    done = subprocess.run(
        command, env=platform.environment, stdout=subprocess.PIPE, check=True, text=True
    )
    return float(done.stdout.strip().splitlines()[-1])


async def compare(platform: Platform, arguments: argparse.Namespace) -> dict[str, object]:
    files = recordings(arguments.files, arguments.seed)
    audio_seconds = sum(len(samples) for samples in files) / SAMPLE_RATE
    ours, theirs = [], []
    for _ in range(arguments.rounds):
        with platform.running(sys.executable, "-m", "asr_worker"):
            await worker_seconds(platform, files[:8])
            ours.append(audio_seconds / await worker_seconds(platform, files))
        theirs.append(audio_seconds / loop_in_a_process(platform, arguments))
    return {
        "files": len(files),
        "audio_seconds": audio_seconds,
        "threads": arguments.threads,
        "worker_times_real_time": statistics.median(ours),
        "automodel_loop_times_real_time": statistics.median(theirs),
        "ratio": statistics.median(a / b for a, b in zip(ours, theirs, strict=True)),
        "rounds": {"worker": ours, "automodel_loop": theirs},
    }


async def measure(arguments: argparse.Namespace) -> dict[str, object]:
    with tempfile.TemporaryDirectory() as name:
        platform = Platform(Path(name), arguments.threads)
        with platform.running(*platform.redis()):
            await asyncio.sleep(0.5)
            results: dict[str, object] = {"machine": machine()}
            results["bare queue"] = await bare_queue(platform, arguments.tasks)
            uvicorn = (
                "-m",
                "uvicorn",
                "--factory",
                "asr_api.app:create_app",
                "--log-level",
                "error",
            )
            port = ("--port", str(platform.api_port))
            with platform.running(sys.executable, *uvicorn, *port):
                await until_ready(platform)
                results["api and queue"] = await through_api(platform, arguments.tasks)
            results["worker beside AutoModel"] = await compare(platform, arguments)
    return results


def machine() -> str:
    return f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"


def show(name: str, value: object, indent: int = 0) -> None:
    pad = " " * indent
    if isinstance(value, dict):
        print(f"{pad}{name}")
        for key, inner in value.items():
            show(key.replace("_", " "), inner, indent + 2)
    elif isinstance(value, list):
        print(f"{pad}{name:<34} {'  '.join(f'{item:.1f}' for item in value)}")
    else:
        print(f"{pad}{name:<34} {f'{value:,.1f}' if isinstance(value, float) else value}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument(
        "--files", type=int, default=120, help="recordings in the worker comparison"
    )
    parser.add_argument(
        "--rounds", type=int, default=3, help="alternating rounds; medians are shown"
    )
    parser.add_argument("--tasks", type=int, default=1000, help="tasks through API and queue")
    parser.add_argument(
        "--threads", type=int, default=max((os.cpu_count() or 2) - 1, 1), help="torch threads, both"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path, help="write the figures here, too")
    parser.add_argument("--loop-only", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.loop_only:
        print(automodel_seconds(recordings(arguments.files, arguments.seed), arguments.threads))
        return
    results = asyncio.run(measure(arguments))
    for name, value in results.items():
        show(name, value)
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
