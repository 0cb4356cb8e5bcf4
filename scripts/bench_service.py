"""This platform beside FunASR's own OpenAI server: the same model, client, files and threads.

    python scripts/bench_service.py [--requests 200] [--connections 1 16 256] [--json PATH]

Both run on this machine and are asked in turn, at `POST /v1/audio/transcriptions`, by so many
connections at once, each with a file of its own. Beside it the native submit, whose reply comes
when recording and task are durable. Rates are replies a second, latencies those of one reply.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import json
import os
import statistics
import sys
import tempfile
import time
import wave
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
from bench import EMBEDDED_FOLDER, SAMPLE_RATE, free_port, recordings
from bench_access import start

OPENAI = "/v1/audio/transcriptions"
SUBMIT = "/api/v1/asr/submit"
MODEL = "whisper-1"  # both take it for the model that they serve


def wav(samples: Any) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setparams((1, 2, SAMPLE_RATE, 0, "NONE", ""))
        out.writeframes(samples.tobytes())
    return file.getvalue()


async def until_it_answers(url: str, path: str) -> None:
    async with asyncio.timeout(180), httpx.AsyncClient(base_url=url, timeout=60) as client:
        while True:
            try:
                body = {"file": ("a.wav", wav(recordings(1, 0)[0]))}
                reply = await client.post(path, files=body, data={"model": MODEL})
                if reply.is_success:
                    return
            except httpx.TransportError:
                pass
            await asyncio.sleep(0.5)


async def ask(url: str, path: str, files: list[bytes], connections: int) -> dict[str, Any]:
    """Each connection sends its next file when the last one is answered."""
    waiting = iter(files)
    latencies: list[float] = []
    statuses: dict[str, int] = {}
    limits = httpx.Limits(max_connections=connections)
    async with httpx.AsyncClient(base_url=url, timeout=600, limits=limits) as client:

        async def work() -> None:
            for body in waiting:
                name = "audio" if path == SUBMIT else "file"
                data = {} if path == SUBMIT else {"model": MODEL}
                began = time.perf_counter()
                try:
                    reply = await client.post(path, files={name: ("a.wav", body)}, data=data)
                    told = str(reply.status_code)
                except httpx.HTTPError as error:
                    told = type(error).__name__
                statuses[told] = statuses.get(told, 0) + 1
                latencies.append(time.perf_counter() - began)

        began = time.perf_counter()
        await asyncio.gather(*(work() for _ in range(connections)))
        seconds = time.perf_counter() - began
    cuts = statistics.quantiles(latencies, n=100)
    return {
        "per_second": len(files) / seconds,
        "p50_ms": 1000 * cuts[49],
        "p99_ms": 1000 * cuts[98],
        "statuses": statuses,
    }


def start_both(stack: ExitStack, threads: int) -> dict[str, tuple[str, str]]:
    """URL and path of each contender."""
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    redis_port, api_port, peer_port = free_port(), free_port(), free_port()
    environment = {
        "REDIS_PORT": str(redis_port),
        "ASR_STORE_URL": (folder / "store").as_uri(),
        "ASR_SPOOL_DIR": str(folder / "spool"),
        "ASR_LOG_LEVEL": "ERROR",
        "ASR_CPU_THREADS": str(threads),
        "ASR_USE_GPU": "false",
        "OMP_NUM_THREADS": str(threads),
    }
    start(
        *(stack, "redis-server", "--port", str(redis_port), "--dir", str(folder), "--save", ""),
        *("--appendonly", "yes", "--appendfsync", "always"),
    )
    asr = (sys.executable, "-m", "asr_cli")
    start(stack, *asr, "api", "--port", str(api_port), **environment)
    start(stack, *asr, "worker", **environment)
    start(
        *(stack, sys.executable, "-m", "funasr.bin.server", "--host", "127.0.0.1"),
        *("--port", str(peer_port), "--device", "cpu", "--model-path", str(EMBEDDED_FOLDER)),
        OMP_NUM_THREADS=str(threads),
    )
    ours, peer = f"http://127.0.0.1:{api_port}", f"http://127.0.0.1:{peer_port}"
    return {
        "this platform": (ours, OPENAI),
        "FunASR's server": (peer, OPENAI),
        "this platform, submit": (ours, SUBMIT),
    }


async def measure(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    found = []
    with ExitStack() as stack:
        contenders = start_both(stack, arguments.threads)
        for name in ("this platform", "FunASR's server"):
            await until_it_answers(*contenders[name])
        for number, connections in enumerate(arguments.connections):
            for place, (name, (url, path)) in enumerate(contenders.items()):
                count = max(arguments.requests, connections)
                files = [wav(each) for each in recordings(count, 1000 * number + place + 1)]
                result = await ask(url, path, files, connections)
                found.append({"name": name, "connections": connections, **result})
                print(
                    f"{connections:4} connections  {name:<22} {result['per_second']:7.1f} /s  "
                    f"p50 {result['p50_ms']:7.0f} ms  p99 {result['p99_ms']:7.0f} ms  "
                    f"{result['statuses']}",
                    flush=True,
                )
            await until_it_answers(*contenders["this platform"])  # what was submitted is done
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--requests", type=int, default=200)
    parser.add_argument("--connections", type=int, nargs="+", default=[1, 16, 256])
    parser.add_argument("--threads", type=int, default=max((os.cpu_count() or 2) - 1, 1))
    parser.add_argument("--json", type=Path, help="write the figures here, too")
    arguments = parser.parse_args()
    found = asyncio.run(measure(arguments))
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
