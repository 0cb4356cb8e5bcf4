"""A platform for a measurement: Redis that writes each change to disk, a folder store, programs."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

import httpx

from asr_cli.errors import ProgramEnded
from asr_cli.local.ports import free_port
from asr_cli.local.redis_server import find_server, server_arguments
from asr_cli.local.redis_socket import listens, private_settings, socket_path, socket_url
from asr_core.settings.queue import QueueSettings
from asr_core.store import Store

HOST = "127.0.0.1"


class BenchPlatform:
    """Programs started here end with the `with` block; their output goes to files."""

    def __init__(
        self, *, threads: int, model: str = "embedded", use_gpu: bool | None = None
    ) -> None:
        self._stack = ExitStack()
        self.folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory()))
        self.api_port, self.metrics_port = (free_port(HOST, 0) for _ in range(2))
        self._socket = socket_path(self.folder)
        self.url = f"http://{HOST}:{self.api_port}"
        self.redis_settings = private_settings(socket_url(self._socket))
        self.queue_settings = QueueSettings(_env_file=None)
        store_url = (self.folder / "store").as_uri()
        self.store = Store.open(store_url)
        self.environment = {
            **os.environ,
            "ASR_REDIS_URL": socket_url(self._socket),
            "ASR_STORE_URL": store_url,
            "ASR_SPOOL_DIR": str(self.folder / "spool"),
            "ASR_LOG_LEVEL": "ERROR",
            "ASR_CPU_THREADS": str(threads),
            "OMP_NUM_THREADS": str(threads),
            "ASR_MODEL": model,
        }
        if use_gpu is not None:
            self.environment["ASR_USE_GPU"] = str(use_gpu).lower()
        self._programs: dict[subprocess.Popen[bytes], Path] = {}

    def __enter__(self) -> BenchPlatform:
        redis = server_arguments(find_server(), unix=self._socket, directory=self.folder)
        self._stack.enter_context(self.running(*redis))
        while not listens(self._socket):  # not listening yet
            self.check()
            time.sleep(0.05)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @contextmanager
    def running(self, *command: str, **environment: str) -> Iterator[None]:
        """A program for the length of the block."""
        log = self.folder / f"{len(list(self.folder.glob('*.log')))}.log"
        with log.open("wb") as file:
            process = subprocess.Popen(
                command, env={**self.environment, **environment}, stdout=file, stderr=file
            )
        self._programs[process] = log
        try:
            yield
        finally:
            del self._programs[process]
            process.terminate()
            process.wait(60)

    def api(self) -> AbstractContextManager[None]:
        """The API, as a block."""
        return self.running(sys.executable, "-m", "asr_cli", "api", "--port", str(self.api_port))

    def worker(self) -> AbstractContextManager[None]:
        """One worker, as a block; its metrics are on `metrics_port`."""
        return self.running(
            *(sys.executable, "-m", "asr_worker"), ASR_METRICS_PORT=str(self.metrics_port)
        )

    def check(self) -> None:
        """Raises ProgramEnded if one has."""
        for process, log in self._programs.items():
            if process.poll() is not None:
                reported = log.read_text(errors="replace")[-2000:]
                raise ProgramEnded(f"{process.args!r} ended with {process.returncode}: {reported}")

    async def until_ready(self) -> None:
        """Until the API answers."""
        async with httpx.AsyncClient() as client:
            while True:
                self.check()
                try:
                    if (await client.get(f"{self.url}/readyz")).is_success:
                        return
                except httpx.TransportError:
                    pass
                await asyncio.sleep(0.1)

    async def engine_seconds(self) -> float:
        """Seconds that the worker's engine was busy, from its own metrics."""
        async with httpx.AsyncClient() as client:
            reply = await client.get(f"http://{HOST}:{self.metrics_port}/metrics")
        for line in reply.text.splitlines():
            if line.startswith('asr_stage_duration_seconds_sum{stage="engine"}'):
                return float(line.rpartition(" ")[2])
        return 0.0
