"""Programs that a test starts, kills and starts again: a redis-server, and `asr operator`."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import redis

from asr_core.queue.permissions import least_user_options
from asr_core.settings.redis import RedisSettings

LEASE_SECONDS = 3


@dataclass
class RedisProgram:
    """A redis-server that can be stopped and started again with its data."""

    folder: Path
    port: int = 0
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> RedisProgram:
        wanted = os.environ.get("ASR_TEST_REDIS_SERVER", "redis-server")
        program = shutil.which(wanted) or shutil.which("valkey-server")
        assert program, "redis-server is not installed: `make test` installs it"
        self.port = self.port or free_port()
        self.process = subprocess.Popen(
            [
                program, "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder),
                "--save", "", "--appendonly", "yes", "--appendfsync", "always",
                "--loglevel", "warning", "--logfile", str(self.folder / "redis.log"),
                *least_user_options("", "*"),
            ]
        )  # fmt: skip
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            try:
                with redis.Redis(port=self.port, username="admin") as client:
                    client.ping()
                    return self
            except redis.exceptions.RedisError:
                time.sleep(0.02)
        raise AssertionError((self.folder / "redis.log").read_text())

    def kill(self) -> None:
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None

    def flush(self) -> None:
        with redis.Redis(port=self.port, username="admin") as client:
            client.flushall()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def settings(self) -> RedisSettings:
        return RedisSettings(_env_file=None, url=self.url, timeout_seconds=2)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class OperatorProgram:
    """`asr operator` as a process."""

    kubeconfig: Path
    namespace: str
    log: Path
    name: str = "operator"
    release: str = ""
    liveness: str = field(default_factory=lambda: f"http://127.0.0.1:{free_port()}/healthz")
    metrics_port: int = field(default_factory=free_port)
    pools_file: Path | None = None
    redis_port: int = 6379
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> OperatorProgram:
        environment = {
            **os.environ,
            "KUBECONFIG": str(self.kubeconfig),
            "ASR_OPERATOR_NAME": self.name,
            "ASR_OPERATOR_RELEASE": self.release,
            "ASR_OPERATOR_LEASE_SECONDS": str(LEASE_SECONDS),
            "ASR_LEASE_SECONDS": "1",
            "REDIS_TIMEOUT_SECONDS": "1",
            "REDIS_PORT": str(self.redis_port),
            "ASR_LOG_FORMAT": "json",
            "ASR_WORKER_POOLS_FILE": str(self.pools_file or ""),
        }
        command = [
            sys.executable, "-m", "asr_cli", "operator", "--namespace", self.namespace,
            "--liveness", self.liveness, "--metrics-port", str(self.metrics_port),
        ]  # fmt: skip
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command, env=environment, stderr=log, cwd=self.log.parent
            )
        return self

    def kill(self) -> None:
        """SIGKILL: nothing is released."""
        assert self.process
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """SIGTERM, and the exit status."""
        assert self.process
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
