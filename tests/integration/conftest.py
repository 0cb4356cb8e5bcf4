"""A real redis-server: one for all tests, flushed before each, or a private one."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import redis

from asr_core.settings import RedisSettings


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def server_program() -> str:
    """Redis or Valkey: as `ASR_TEST_REDIS_SERVER` has it, else what is installed."""
    wanted = os.environ.get("ASR_TEST_REDIS_SERVER", "")
    program = shutil.which(wanted or "redis-server") or shutil.which("valkey-server")
    assert program, "redis-server is not installed: `make test` installs it"
    return program


@dataclass
class RedisServer:
    """A redis-server process with AOF in its own folder; it can be killed and started again."""

    folder: Path
    options: tuple[str, ...] = ()
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> RedisServer:
        self.process = subprocess.Popen(
            [
                server_program(), "--port", str(self.port), "--bind", "127.0.0.1",
                "--dir", str(self.folder), "--save", "", "--appendonly", "yes",
                "--maxmemory-policy", "noeviction", "--loglevel", "warning",
                "--logfile", str(self.folder / "redis.log"), *self.options,
            ]
        )  # fmt: skip
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            try:
                with self.client() as client:
                    client.ping()
                    return self
            except redis.exceptions.RedisError:
                assert self.process.poll() is None, (self.folder / "redis.log").read_text()
        raise AssertionError("redis-server did not answer within 20 s")

    def client(self) -> redis.Redis:
        return redis.Redis(port=self.port, decode_responses=True)

    def kill(self) -> None:
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None

    def settings(self, **changes: object) -> RedisSettings:
        values = {"REDIS_HOST": "127.0.0.1", "REDIS_PORT": self.port, "REDIS_TIMEOUT_SECONDS": 5}
        return RedisSettings(_env_file=None, **{**values, **changes})  # type: ignore[arg-type]


@pytest.fixture(scope="session")
def _shared_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path_factory.mktemp("redis"), ("--appendfsync", "everysec")).start()
    yield server
    server.kill()


@pytest.fixture
def redis_server(_shared_redis: RedisServer) -> RedisServer:
    """The shared server, empty."""
    with _shared_redis.client() as client:
        client.flushall()
    return _shared_redis


@pytest.fixture
def private_redis(tmp_path: Path) -> Iterator[Callable[..., RedisServer]]:
    """Makes servers with options of their own, that a test may kill."""
    servers: list[RedisServer] = []

    def make(*options: str) -> RedisServer:
        folder = tmp_path / f"redis-{len(servers)}"
        folder.mkdir()
        servers.append(RedisServer(folder, options).start())
        return servers[-1]

    yield make
    for server in servers:
        server.kill()


@pytest.fixture(scope="session")
def redis_program() -> str:
    """The server's program, for what starts it in other ways."""
    return server_program()


@pytest.fixture(name="free_port")
def _free_port() -> Callable[[], int]:
    """Gives a port that nobody listens on."""
    return free_port
