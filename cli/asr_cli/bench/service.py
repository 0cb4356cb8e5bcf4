"""The service beside FunASR's own server: the same model, client, files and threads.

Both are asked in turn at `POST /v1/audio/transcriptions`, by so many connections at once, each with
a file of its own. Beside them the native submit, whose reply comes when recording and task are
durable.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

import httpx

from asr_cli.bench.audio import embedded_folder, recordings, wav
from asr_cli.bench.lengths import drawn
from asr_cli.bench.platform import HOST, BenchPlatform
from asr_cli.bench.report import Finding, Series
from asr_cli.local.ports import free_port

OPENAI, SUBMIT = "/v1/audio/transcriptions", "/api/v1/asr/submit"
_MODEL = "whisper-1"  # both take it for the model that they serve


async def measure(
    requests: int, connections: Sequence[int], rounds: int, threads: int, lengths: str
) -> list[Finding]:
    """One finding for each number of connections."""
    peer_port = free_port(HOST, 0)
    peer = f"http://{HOST}:{peer_port}"
    with BenchPlatform(threads=threads, use_gpu=False) as platform:
        funasr = platform.running(
            *(sys.executable, "-m", "funasr.bin.server", "--host", HOST, "--device", "cpu"),
            *("--port", str(peer_port), "--model-path", str(embedded_folder())),
        )
        contenders = {
            "this platform, submit": (platform.url, SUBMIT),
            "this platform": (platform.url, OPENAI),
            "FunASR's server": (peer, OPENAI),
        }
        with platform.api(), platform.worker(), funasr:
            for url in (platform.url, peer):
                await _until_it_transcribes(platform, url)
            return [
                await _compare(
                    platform, contenders, max(requests, each), each, rounds, threads, lengths
                )
                for each in connections
            ]  # fmt: skip


async def _compare(
    platform: BenchPlatform,
    contenders: dict[str, tuple[str, str]],
    requests: int,
    connections: int,
    rounds: int,
    threads: int,
    lengths: str,
) -> Finding:
    series = [Series(name) for name in contenders]
    latencies: dict[str, list[float]] = {name: [] for name in contenders}
    replies: Counter[str] = Counter()
    for number in range(rounds):
        for place, each in enumerate(series):
            # Never the same file twice: an equal request joins the run of the first.
            seed = 1000 * connections + 10 * number + place
            files = [wav(one) for one in recordings(drawn(lengths, requests, seed), seed)]
            url, path = contenders[each.name]
            seconds, outcomes = await _ask(url, path, files, connections, latencies[each.name])
            each.rounds.append(requests / seconds)
            replies.update({f"{each.name}: {what}": count for what, count in outcomes.items()})
        await _until_it_transcribes(platform, platform.url)  # what was submitted is done
    cuts = {name: statistics.quantiles(each, n=100) for name, each in latencies.items()}
    details = {
        f"{name}, p50 and p99": f"{1000 * each[49]:.0f} and {1000 * each[98]:.0f} ms"
        for name, each in cuts.items()
    }
    return Finding(
        title=f"Service, {connections} connections",
        command=f"asr bench service --connections {connections} --lengths {lengths}",
        conditions={"requests a round": requests, "lengths": lengths, "threads": threads},
        unit="replies a second",
        series=series,
        details={**details, "replies": dict(replies)},
    )


async def _ask(
    url: str, path: str, files: Sequence[bytes], connections: int, latencies: list[float]
) -> tuple[float, Counter[str]]:
    """Each connection sends its next file when its last one is answered."""
    waiting, outcomes = iter(files), Counter[str]()
    limits = httpx.Limits(max_connections=connections)
    async with httpx.AsyncClient(base_url=url, timeout=600, limits=limits) as client:

        async def work() -> None:
            for body in waiting:
                began = time.perf_counter()
                try:
                    outcomes[str((await _send(client, path, body)).status_code)] += 1
                except httpx.HTTPError as error:
                    outcomes[type(error).__name__] += 1
                latencies.append(time.perf_counter() - began)

        began = time.perf_counter()
        await asyncio.gather(*(work() for _ in range(connections)))
        return time.perf_counter() - began, outcomes


async def _send(client: httpx.AsyncClient, path: str, body: bytes) -> httpx.Response:
    if path == SUBMIT:
        return await client.post(path, files={"audio": ("a.wav", body)})
    files: dict[str, Any] = {"file": ("a.wav", body)}
    return await client.post(path, files=files, data={"model": _MODEL})


async def _until_it_transcribes(platform: BenchPlatform, url: str) -> None:
    body = wav(recordings([2.0], 0)[0])
    async with asyncio.timeout(180), httpx.AsyncClient(base_url=url, timeout=170) as client:
        while True:
            platform.check()
            try:
                if (await _send(client, OPENAI, body)).is_success:
                    return
            except httpx.TransportError:
                pass
            await asyncio.sleep(0.3)
