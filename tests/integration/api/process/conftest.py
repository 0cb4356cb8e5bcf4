"""`asr api` in processes of its own, that a test may kill, starve and look into."""

from __future__ import annotations

import os
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from asr_core.lifecycle.orphan_sweep import Sweep, Swept
from asr_core.queue import Consumer, Finish, Outcome, Producer, RedisConnection
from asr_core.queue.orphan_index import OrphanIndex
from asr_core.result import Transcript
from asr_core.settings.queue import QueueSettings
from asr_core.settings.redis import RedisSettings
from asr_core.store import Store
from asr_core.task import result_path

ROOT = Path(__file__).parents[4]
SLOW_WORKER = """
import time
from asr_worker.engines.sensevoice import SenseVoiceEngine
from asr_worker.process.main import leave, main

submit = SenseVoiceEngine.submit
def slowly(self, batch):
    time.sleep(0.3)
    return submit(self, batch)
SenseVoiceEngine.submit = slowly
leave(main())
"""
_LISTENS = "0A"


@dataclass
class ApiProcess:
    """A running `asr api`, and what a test needs to look into it."""

    process: subprocess.Popen[bytes]
    url: str
    spool_folder: Path
    log: Path

    @property
    def address(self) -> tuple[str, int]:
        url = httpx.URL(self.url)
        return url.host, url.port or 80

    def rss_bytes(self) -> int:
        """Of the process and the probes it started."""
        return sum(_rss_bytes(process_id) for process_id in _tree(self.process.pid))

    def open_files(self) -> int:
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def connections(self) -> int:
        """How many clients it is connected with."""
        sockets = set()
        for link in Path(f"/proc/{self.process.pid}/fd").iterdir():
            with suppress(FileNotFoundError):  # closed since it was listed
                sockets.add(os.readlink(link))
        rows = (row.split() for row in Path("/proc/net/tcp").read_text().splitlines()[1:])
        ours = f":{self.address[1]:04X}"
        return sum(
            row[1].endswith(ours) and row[3] != _LISTENS and f"socket:[{row[9]}]" in sockets
            for row in rows
        )

    def limit_file_size(self, bytes_: int | None) -> None:
        """As on a full disk, no file grows beyond; None: there is room again."""
        _, hard = resource.prlimit(self.process.pid, resource.RLIMIT_FSIZE)
        soft = hard if bytes_ is None else bytes_
        resource.prlimit(self.process.pid, resource.RLIMIT_FSIZE, (soft, hard))

    def spooled(self) -> list[Path]:
        return list(self.spool_folder.rglob("upload-*"))

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def wait_until_ready(self) -> None:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            assert self.process.poll() is None, self.log.read_text()
            with suppress(httpx.TransportError):
                if httpx.get(f"{self.url}/api/v1/health").status_code == 200:
                    return
            time.sleep(0.05)
        raise AssertionError(f"the API did not become ready: {self.log.read_text()}")


def _tree(process_id: int) -> list[int]:
    with suppress(OSError):
        children = Path(f"/proc/{process_id}/task/{process_id}/children").read_text().split()
        return [process_id, *(one for child in children for one in _tree(int(child)))]
    return []


def _rss_bytes(process_id: int) -> int:
    with suppress(OSError):
        pages = Path(f"/proc/{process_id}/statm").read_text().split()[1]
        return int(pages) * resource.getpagesize()
    return 0


def _allow_files(count: int) -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (count, count))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Programs:
    """Starts programs on one Redis and one store, with settings by their names; ends them."""

    folder: Path
    redis_port: int
    settings: dict[str, object] = field(default_factory=dict)
    started: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def api(
        self, *, redis_port: int | None = None, files: int | None = None, **settings: object
    ) -> ApiProcess:
        """`files`: how many descriptors it may have."""
        port, name = _free_port(), f"api-{len(self.started)}"
        spool, log = self.folder / f"spool-{name}", self.folder / f"{name}.log"
        command = ["-m", "asr_cli", "api", "--port", str(port), "--grace", "1"]
        own = {"ASR_SPOOL_DIR": spool, **settings}
        process = self._start(command, log, redis_port, files, own)
        return ApiProcess(process, f"http://127.0.0.1:{port}", spool, log)

    def worker(
        self,
        *,
        redis_port: int | None = None,
        program: Sequence[str] = ("-c", SLOW_WORKER),
        **settings: object,
    ) -> subprocess.Popen[bytes]:
        """The embedded model; each batch takes a third of a second more. Or another program."""
        own = {
            "ASR_WORK_DIR": self.folder / "work",
            "ASR_USE_GPU": "false",
            "ASR_CPU_THREADS": 1,
            "ASR_DECODE_PROCESSES": 1,
            "ASR_GRACE_SECONDS": 0,
            **settings,
        }
        log = self.folder / f"worker-{len(self.started)}.log"
        return self._start([*program], log, redis_port, None, own)

    def courier(self, **settings: object) -> subprocess.Popen[bytes]:
        own = {"ASR_SPOOL_DIR": self.folder / "spool-courier", **settings}
        log = self.folder / f"courier-{len(self.started)}.log"
        return self._start(["-m", "asr_cli", "courier"], log, None, None, own)

    def end(self) -> None:
        for process in self.started:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for process in self.started:
            with suppress(subprocess.TimeoutExpired):
                process.wait(20)
            process.kill()
            process.wait()

    def _start(
        self,
        command: list[str],
        log: Path,
        redis_port: int | None,
        files: int | None,
        settings: dict[str, object],
    ) -> subprocess.Popen[bytes]:
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("ASR_", "REDIS_"))}
        rooms = ("core", "api", "worker", "cli", "client")
        own = {
            "PYTHONPATH": os.pathsep.join(str(ROOT / room) for room in rooms),
            "ASR_REDIS_URL": f"redis://127.0.0.1:{redis_port or self.redis_port}/0",
            "ASR_STORE_URL": (self.folder / "store").as_uri(),
            **self.settings,
            **settings,
        }
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, *command],
                cwd=self.folder,
                env=inherited | {name: str(value) for name, value in own.items()},
                stdout=output,
                stderr=output,
                preexec_fn=None if files is None else partial(_allow_files, files),
            )
        self.started.append(process)
        return process


@pytest.fixture(scope="session")
def make_programs() -> type[Programs]:
    """For fixtures that outlive a test."""
    return Programs


@pytest.fixture
def programs(tmp_path: Path, redis_server: Any) -> Iterator[Programs]:
    programs = Programs(tmp_path, redis_server.port)
    yield programs
    programs.end()


@pytest.fixture
def start_api(programs: Programs) -> Callable[..., ApiProcess]:
    """Starts `asr api`."""
    return programs.api


@dataclass
class Behind:
    """What stands behind the API processes: queue and store, and a worker's side of both."""

    connection: RedisConnection
    store: Store
    folder: Path
    settings: QueueSettings

    @property
    def producer(self) -> Producer:
        return Producer(self.connection, self.settings)

    def stored(self) -> list[str]:
        """Everything in the store but its marker, drafts of unfinished writes among it."""
        files = (path for path in self.folder.rglob("*") if path.is_file())
        names = (str(path.relative_to(self.folder)) for path in files)
        return sorted(name for name in names if name != "epoch")

    async def task_ids(self) -> list[str]:
        page = await self.producer.history(tenant="default", limit=1000)
        return [task.task_id for task in page.tasks]

    async def sweep(self) -> Swept:
        """The hourly sweep, for blobs of any age."""
        return await Sweep(OrphanIndex(self.connection), self.store).run(min_age_seconds=0)

    async def work(self, transcript: Transcript) -> list[str]:
        """Does all that waits, as a worker does; returns the ids of what was completed."""
        consumer = Consumer(self.connection, self.settings, pool="default", name="worker-1")
        await consumer.prepare()
        done: list[str] = []
        while claims := await consumer.claim(room_seconds=1e9, room_tasks=1000, in_flight=0):
            for claim in claims:
                path = result_path(claim.task.task_id, claim.task.attempt)
                await self.store.put(path, transcript.model_dump_json().encode())
                report = Finish(claim.task.task_id, claim.token, path, processing_seconds=0.1)
                assert await consumer.finish([report]) == [Outcome.OK]
                done.append(claim.task.task_id)
        return done

    @classmethod
    def at(cls, redis_port: int, folder: Path, **settings: object) -> Behind:
        """The same Redis and store that programs with these settings have."""
        values = {"url": f"redis://127.0.0.1:{redis_port}/0", **settings}
        redis = RedisSettings(_env_file=None, **values)  # type: ignore[arg-type]
        queue = QueueSettings(_env_file=None)  # type: ignore[call-arg]
        return cls(RedisConnection(redis), Store.open(folder.as_uri()), folder, queue)


@pytest.fixture(scope="session")
def look_behind() -> Callable[..., Behind]:
    """For fixtures that outlive a test."""
    return Behind.at


@pytest_asyncio.fixture
async def behind(tmp_path: Path, redis_server: Any) -> AsyncIterator[Behind]:
    behind = Behind.at(redis_server.port, tmp_path / "store")
    yield behind
    await behind.connection.close()
