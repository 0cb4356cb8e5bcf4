"""What keys and rates cost a request: three APIs on one Redis, asked in turn.

    python scripts/bench_access.py [--rounds 60] [--requests 40]

One client, one request at a time: the time of each, as a median over the rounds, and its ratio to
that of an API that asks for no key. A first round is not counted.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import httpx

from asr_cli.local.ports import free_port
from asr_core.access import Scope
from asr_core.queue import ApiKeyStore, RedisConnection
from asr_core.settings.redis import RedisSettings

APIS = {
    "off": {},
    "keys": {"ASR_AUTH": "keys"},
    "keys and a rate": {"ASR_AUTH": "keys", "ASR_TENANT_RATE_PER_MINUTE": "100000000"},
}
PATHS = {
    "an empty history": "/api/v1/asr/history",
    "a task that is not there": "/api/v1/asr/result/0197d4a5-2f6e-7c3a-9b1d-4e8f2a6c0d11",
}


def start(stack: ExitStack, *command: str, **environment: str) -> None:
    """A program that ends with the stack."""
    process = subprocess.Popen(
        command,
        env={**os.environ, **environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    stack.callback(process.wait)
    stack.callback(process.terminate)


async def until_ready(url: str) -> None:
    async with asyncio.timeout(60), httpx.AsyncClient() as client:
        while True:
            try:
                if (await client.get(f"{url}/readyz")).status_code == 200:
                    return
            except httpx.TransportError:
                await asyncio.sleep(0.1)


async def one_round(url: str, path: str, secret: str, requests: int) -> float:
    """Milliseconds for each request."""
    headers = {"Authorization": f"Bearer {secret}"}
    async with httpx.AsyncClient(base_url=url, headers=headers) as client:
        await client.get(path)
        began = time.perf_counter()
        for _ in range(requests):
            await client.get(path)
        return (time.perf_counter() - began) / requests * 1000


async def measure(urls: dict[str, str], secret: str, rounds: int, requests: int) -> None:
    for label, path in PATHS.items():
        times: dict[str, list[float]] = {name: [] for name in urls}
        for number in range(rounds + 1):
            for name, url in urls.items():
                milliseconds = await one_round(url, path, secret, requests)
                if number:
                    times[name].append(milliseconds)
        medians = {name: statistics.median(each) for name, each in times.items()}
        for name, median in medians.items():
            print(f"{label:26} {name:16} {median:.2f} ms  × {median / medians['off']:.2f}")


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--requests", type=int, default=40)
    options = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        redis_port = free_port("127.0.0.1", 0)
        start(stack, "redis-server", "--port", str(redis_port), "--save", "", "--dir", str(folder))
        urls = {}
        for name, settings in APIS.items():
            port = free_port("127.0.0.1", 0)
            urls[name] = f"http://127.0.0.1:{port}"
            spool = str(folder / f"spool-{port}")
            start(
                *(stack, sys.executable, "-m", "asr_cli", "api", "--port", str(port)),
                REDIS_PORT=str(redis_port),
                ASR_STORE_URL=(folder / "store").as_uri(),
                ASR_SPOOL_DIR=spool,
                ASR_LOG_LEVEL="WARNING",
                **settings,
            )
        await asyncio.gather(*map(until_ready, urls.values()))
        connection = RedisConnection(RedisSettings(_env_file=None, REDIS_PORT=redis_port))
        ring = ApiKeyStore(connection)
        secret, _ = await ring.create("bench", tenant="default", scopes=[Scope.ADMIN])
        await connection.close()
        await measure(urls, secret, options.rounds, options.requests)


if __name__ == "__main__":
    asyncio.run(main())
