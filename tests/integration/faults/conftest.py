"""The real programs, `asr api` and `asr worker`, started once; each test gives them a Redis of its
own, on the same port.

They never restart: that they outlive whatever happens to Redis is what is tested.
"""

from __future__ import annotations

import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import wave
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import redis

from asr_core.queue.permissions import least_user_options

LEASE_SECONDS = 2.0
# Upkeep each half second instead of each minute.
API = """
import asr_api.background.housekeeping as housekeeping
import asr_core.queue.reconciler as upkeep
housekeeping.RECONCILE_SECONDS, upkeep._LOCK_SECONDS = 0.5, 0.4
from asr_cli.main import app
app()
"""
# Each batch takes as long as a file says, on any machine.
WORKER = """
import os, pathlib, time
from asr_worker.engines.sensevoice import SenseVoiceEngine
pace, submit = pathlib.Path(os.environ["PACE_FILE"]), SenseVoiceEngine.submit
def at_its_pace(self, batch):
    time.sleep(float(pace.read_text()))
    return submit(self, batch)
SenseVoiceEngine.submit = at_its_pace
from asr_worker.process.main import leave, main
leave(main())
"""


def wait_for(what: Callable[[], Any], *, seconds: float = 30, why: str = "") -> Any:
    """What `what` returns, once that is true."""
    deadline = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < deadline, why or f"not within {seconds} s: {what}"
        time.sleep(0.05)
    return found


@dataclass
class RedisAt:
    """A redis-server on a given port, in a folder of its own."""

    port: int
    folder: Path
    options: tuple[str, ...] = ()
    file_limit: int | None = None
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> RedisAt:
        """With `file_limit`, no file grows past so many bytes: a disk without room."""
        self.folder.mkdir(exist_ok=True)
        self.process = subprocess.Popen(
            [
                os.environ.get("ASR_TEST_REDIS_SERVER", "redis-server"),
                "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder),
                "--save", "", "--appendonly", "yes",
                "--maxmemory-policy", "noeviction", "--loglevel", "notice",
                "--logfile", str(self.folder / "redis.log"), *least_user_options(), *self.options,
            ],
            restore_signals=False,  # SIGXFSZ stays ignored: a write past the limit is an error
        )  # fmt: skip
        if self.file_limit is not None:
            self.limit_files(self.file_limit)
        self.answers()
        return self

    def limit_files(self, size: int) -> None:
        import resource

        assert self.process is not None
        _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.prlimit(self.process.pid, resource.RLIMIT_FSIZE, (size, hard))

    def answers(self) -> None:
        assert self.process is not None
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            try:
                with self.client() as client:
                    client.info("server")
                    return
            except redis.exceptions.RedisError:
                assert self.process.poll() is None, (self.folder / "redis.log").read_text()
                time.sleep(0.02)
        raise AssertionError("redis-server did not answer")

    def client(self) -> redis.Redis:
        return redis.Redis(port=self.port, username="admin", decode_responses=True)

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGCONT)
            self.process.send_signal(number)
            self.process.wait()
            self.process = None


@dataclass
class Log:
    """What a program has written since a moment."""

    path: Path
    start: int = 0

    def mark(self) -> None:
        self.start = self.path.stat().st_size

    def text(self) -> str:
        return self.path.read_bytes()[self.start :].decode(errors="replace")

    def events(self, name: str) -> list[dict[str, Any]]:
        lines = (line for line in self.text().splitlines() if line.startswith("{"))
        return [told for line in lines if (told := json.loads(line))["event"] == name]


@dataclass
class Platform:
    """The programs, their store, and a client's side of the API."""

    folder: Path
    redis_port: int
    api_port: int
    lease_seconds: float = LEASE_SECONDS
    redis: RedisAt = field(init=False)
    raw: redis.Redis = field(init=False)
    client: httpx.Client = field(init=False)
    api_log: Log = field(init=False)
    worker_log: Log = field(init=False)
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)
    more_redis: list[RedisAt] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{self.api_port}", timeout=30)
        self.raw = redis.Redis(port=self.redis_port, username="admin", decode_responses=True)
        self.pace(0)

    @property
    def store(self) -> Path:
        return self.folder / "store"

    def environment(self, **changes: str) -> dict[str, str]:
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("ASR_", "REDIS_"))}
        return {
            **inherited,
            "REDIS_PORT": str(self.redis_port),
            "REDIS_TIMEOUT_SECONDS": "2",
            "ASR_STORE_URL": self.store.as_uri(),
            "ASR_SPOOL_DIR": str(self.folder / "spool"),
            "ASR_WORK_DIR": str(self.folder / "work"),
            "ASR_LEASE_SECONDS": str(LEASE_SECONDS),
            "ASR_USE_GPU": "false",
            "ASR_VAD": "energy",  # the recordings are tones
            "ASR_CPU_THREADS": "1",
            "ASR_DECODE_PROCESSES": "1",
            "ASR_GRACE_SECONDS": "0",
            "ASR_BATCH_SIZE": "4",
            "ASR_LOG_FORMAT": "json",
            "ASR_RETRY_BACKOFF_SECONDS": "1",
            "PACE_FILE": str(self.folder / "pace"),
            **changes,
        }

    def start(self, name: str, code: str, *arguments: str, **changes: str) -> Log:
        """A program in a process of its own; returns its log."""
        log = Log(self.folder / f"{name}.log")
        with log.path.open("ab") as file:
            process = subprocess.Popen(
                [sys.executable, "-c", code, *arguments],
                cwd=self.folder, env=self.environment(**changes), stdout=file, stderr=file,
            )  # fmt: skip
        self.processes.append(process)
        return log

    def start_api(self, name: str = "api", **changes: str) -> Log:
        """On `api_port`, or on `ASR_API_PORT`; it may not answer yet."""
        environment = {"ASR_API_PORT": str(self.api_port), **changes}
        return self.start(name, API, "api", "--grace", "1", **environment)

    @contextmanager
    def another_api(self, **changes: str) -> Iterator[Log]:
        """For a while."""
        log = self.start_api("another-api", **changes)
        try:
            yield log
        finally:
            self.processes[-1].kill()
            self.processes.pop().wait()

    def start_worker(self, name: str = "worker", **changes: str) -> Log:
        """It loads its model for some seconds."""
        return self.start(name, WORKER, ASR_WORKER_NAME=name, **changes)

    @contextmanager
    def another_worker(self, **changes: str) -> Iterator[Log]:
        """For a while."""
        log = self.start_worker("joins", **changes)
        try:
            yield log
        finally:
            self.processes[-1].kill()
            self.processes.pop().wait()

    @contextmanager
    def worker_stopped(self) -> Iterator[None]:
        """The worker of all tests sleeps; it holds no task."""
        self.processes[1].send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.processes[1].send_signal(signal.SIGCONT)

    def redis_at(self, port: int, folder: Path, *options: str) -> RedisAt:
        """One more Redis, ended with the test."""
        self.more_redis.append(RedisAt(port, folder, options).start())
        return self.more_redis[-1]

    def asr(self, *arguments: str) -> str:
        """A command of `asr`, run to its end."""
        return subprocess.run(
            [sys.executable, "-m", "asr_cli", *arguments],
            cwd=self.folder, env=self.environment(), capture_output=True, text=True, check=True,
        ).stdout  # fmt: skip

    def answers(self, port: int | None = None) -> bool:
        """Whether the API does."""
        try:
            url = f"http://127.0.0.1:{port or self.api_port}/healthz"
            return self.client.get(url).status_code == 200
        except httpx.TransportError:
            return False

    def workers(self) -> set[str]:
        """Live workers, as Redis knows them."""
        names = self.raw.zrange("asr:workers:default", 0, -1)
        return {name.rsplit("-", 1)[0] for name in names if self.raw.exists(f"asr:worker:{name}")}

    def pace(self, seconds: float) -> None:
        """How long each batch takes from now on."""
        new = self.folder / "pace.new"
        new.write_text(str(seconds))
        new.replace(self.folder / "pace")

    def submit(self, key: str = "") -> httpx.Response:
        headers = {"Idempotency-Key": key} if key else {}
        files = {"audio": ("tone.wav", tone())}
        return self.client.post("/api/v1/asr/submit", files=files, headers=headers)

    def accepted(self, count: int) -> list[str]:
        replies = [self.submit() for _ in range(count)]
        assert {reply.status_code for reply in replies} == {202}, replies[0].text
        return [reply.json()["task_id"] for reply in replies]

    def state(self, task_id: str) -> str:
        reply = self.client.get(f"/api/v1/asr/result/{task_id}")
        return str(reply.json()["status"]) if reply.status_code == 200 else str(reply.status_code)

    def completed(self, task_ids: list[str], *, seconds: float = 60) -> None:
        """Returns once all of them are."""
        left = set(task_ids)

        def done() -> bool:
            left.difference_update([i for i in left if self.state(i) == "completed"])
            return not left

        wait_for(done, seconds=seconds, why=f"not completed: {left}")

    def held(self, count: int) -> None:
        """Returns once workers hold so many tasks."""
        wait_for(lambda: self.raw.zcard("asr:leases:default:normal") >= count)

    def hash(self, task_id: str) -> dict[str, str]:
        return self.raw.hgetall(f"asr:task:{task_id}")

    def stored(self, kind: str) -> list[Path]:
        return [path for path in (self.store / kind).rglob("*") if path.is_file()]

    def metric(self, name: str) -> float | None:
        """A metric of the API, by its whole name with labels."""
        text = self.client.get("/metrics").text
        found = re.search(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE)
        return float(found[1]) if found else None

    def health(self) -> dict[str, Any]:
        return dict(self.client.get("/api/v1/health").json())

    def status(self) -> dict[str, Any]:
        reply = self.client.get("/api/v1/asr/queue/status")
        return dict(reply.json()) if reply.status_code == 200 else {}

    def end(self) -> None:
        for process in self.processes:
            process.kill()
            process.wait()
        self.client.close()
        self.raw.close()


def tone() -> bytes:
    """One second."""
    samples = 0.2 * np.sin(np.arange(16_000) / 7)
    target = io.BytesIO()
    with wave.open(target, "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", ""))
        file.writeframes((samples * 32767).astype("<i2").tobytes())
    return target.getvalue()


@pytest.fixture(scope="session")
def programs(
    tmp_path_factory: pytest.TempPathFactory, free_ports: Callable[[int], list[int]]
) -> Iterator[Platform]:
    """An API and a worker, on a Redis that is gone by the time a test begins."""
    folder = tmp_path_factory.mktemp("faults")
    platform = Platform(folder, *free_ports(2))
    first = RedisAt(platform.redis_port, folder / "redis-first").start()
    try:
        platform.api_log = platform.start_api()
        platform.worker_log = platform.start_worker()
        wait_for(lambda: platform.answers() and platform.workers(), seconds=120)
        first.kill()
        yield platform
    finally:
        platform.end()
        first.kill()


@pytest.fixture(scope="session")
def eventually() -> Callable[..., Any]:
    """Waits until a function returns something true, and returns that."""
    return wait_for


StartRedis = Callable[..., Platform]


@pytest.fixture
def platform_on(programs: Platform, tmp_path: Path) -> Iterator[StartRedis]:
    """Gives the running programs an empty store and a new Redis with these options."""
    servers: list[RedisAt] = []

    def start(*options: str) -> Platform:
        for kind in ("audio", "results"):
            for blob in programs.stored(kind):
                blob.unlink()
        (programs.store / "epoch").unlink(missing_ok=True)
        programs.pace(0)
        programs.redis = RedisAt(programs.redis_port, tmp_path / "redis", options).start()
        servers.append(programs.redis)
        wait_for(lambda: programs.raw.exists("asr:epoch") and (programs.store / "epoch").exists())
        programs.api_log.mark()
        programs.worker_log.mark()
        return programs

    yield start
    for server in (*servers, *programs.more_redis):
        server.kill()
    programs.more_redis.clear()


@pytest.fixture(scope="session")
def free_ports() -> Callable[[int], list[int]]:
    """Ports that nothing listens on."""

    def find(count: int) -> list[int]:
        probes = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
        ports = [int(probe.getsockname()[1]) for probe in probes]
        for probe in probes:
            probe.close()
        return ports

    return find
