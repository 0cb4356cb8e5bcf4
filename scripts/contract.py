"""Thousands of made-up requests against a real API: no 5xx, no reply that is not documented.

    python scripts/contract.py [--examples 400] [--seed 1] [--path REGEX]

Starts Redis, a worker, a courier and two APIs, one that asks for keys and one that does not, and
runs schemathesis with all its checks over their OpenAPI document: without a key where none is
needed, without one where one is, and with one. What a schema cannot say is expected: made-up bytes
are no audio, and a recording that is not there has no transcript in any format.
"""

from __future__ import annotations

import argparse
import asyncio
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from bench_access import start, until_ready

from asr_cli.local.ports import free_port
from asr_core.access import Scope
from asr_core.queue import ApiKeyStore, RedisConnection
from asr_core.settings.redis import RedisSettings


async def make_key(redis_port: int) -> str:
    connection = RedisConnection(RedisSettings(_env_file=None, REDIS_PORT=redis_port))
    secret, _ = await ApiKeyStore(connection).create("contract", tenant="a", scopes=[Scope.ADMIN])
    await connection.close()
    return secret


EXPECTED = """
[[operations]]
include-path-regex = "(submit|transcriptions|translations)$"
[operations.checks.positive_data_acceptance]
expected-statuses = ["2xx", 400, 401, 403, 404, 409, 413, 415, 422, 429, 503, 504]
"""


def schemathesis(url: str, folder: Path, options: argparse.Namespace, *more: str) -> int:
    command = [
        str(Path(sys.executable).with_name("schemathesis")),
        *("--config-file", str(folder / "expected.toml"), "run", f"{url}/openapi.json"),
        *("--checks", "all", "--max-examples", str(options.examples), "--seed", str(options.seed)),
        *("--phases", "examples,coverage,fuzzing", "--request-timeout", "90"),
        *("--continue-on-failure", *more),
    ]
    if options.path:
        command += ["--include-path-regex", options.path]
    return subprocess.run(command, check=False, cwd=folder).returncode


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--examples", type=int, default=400, help="at most, for each operation")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--path", default="", help="only operations whose path matches")
    options = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        redis_port = free_port("127.0.0.1", 0)
        start(stack, "redis-server", "--port", str(redis_port), "--save", "", "--dir", str(folder))
        (folder / "expected.toml").write_text(EXPECTED)
        shared = {
            "ASR_LOG_LEVEL": "ERROR",
            "ASR_STORE_URL": (folder / "store").as_uri(),
            "REDIS_PORT": str(redis_port),
            "ASR_RETRY_LIMIT": "1",  # a URL that nobody serves is soon given up
            "ASR_RETRY_BACKOFF_SECONDS": "0.1",
        }
        for program in ("worker", "courier"):
            spool = str(folder / f"spool-{program}")
            start(stack, sys.executable, "-m", "asr_cli", program, ASR_SPOOL_DIR=spool, **shared)
        urls = {}
        for auth in ("off", "keys"):
            port = free_port("127.0.0.1", 0)
            urls[auth] = f"http://127.0.0.1:{port}"
            start(
                *(stack, sys.executable, "-m", "asr_cli", "api", "--port", str(port)),
                ASR_AUTH=auth,
                ASR_EVENTS_MAX_SECONDS="1",
                ASR_TRANSCRIPTION_WAIT_SECONDS="1",
                ASR_SPOOL_DIR=str(folder / f"spool-{port}"),
                **shared,
            )
        for url in urls.values():
            asyncio.run(until_ready(url))
        failed = 0
        secret = asyncio.run(make_key(redis_port))
        failed = schemathesis(urls["off"], folder, options)
        failed |= schemathesis(urls["keys"], folder, options)
        failed |= schemathesis(
            urls["keys"], folder, options, "-H", f"Authorization: Bearer {secret}"
        )
    sys.exit(failed)


if __name__ == "__main__":
    main()
