"""The programs of `asr up`, from the checks before the start to the stop."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shlex
import signal
import socket
from collections.abc import Coroutine
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from asr_api.settings.api import ApiSettings
from asr_api.settings.courier import CourierSettings
from asr_cli.errors import PortBusy, ProgramFailed
from asr_cli.local.data_folder import DataFolder
from asr_cli.local.demo import find_demo, transcript_is_right
from asr_cli.local.platform_problems import tell_problems
from asr_cli.local.ports import free_port, port_is_free
from asr_cli.local.redis_server import ServerProgram, find_server
from asr_cli.local.redis_socket import socket_path
from asr_cli.local.running_platform import RunningPlatform
from asr_cli.local.stack import GRACE_SECONDS, StackPlan, names_of_machine, threads_per_worker
from asr_cli.local.supervisor import Supervisor
from asr_cli.local.up_console import UpConsole
from asr_core.access.hosts import is_loopback
from asr_core.errors import DependencyError
from asr_core.models import AUTO_NAME, EMBEDDED, notice_of
from asr_core.queue import BacklogReader, RedisConnection, read_eviction
from asr_core.settings.queue import QueueSettings
from asr_core.settings.store import RetentionSettings
from asr_platform import AsyncClient, ClientError, Transcript
from asr_worker.settings import WorkerSettings

REDIS_START_SECONDS = 600.0
API_START_SECONDS = 180.0
WORKER_START_SECONDS = 3600.0
DEMO_SECONDS = 900.0
INTERRUPTED = 130


@dataclass(frozen=True)
class Prepared:
    """What was checked before anything is started."""

    plan: StackPlan
    server: ServerProgram
    folder: DataFolder
    keyless: bool


def prepare(
    data: Path, *, host: str | None, port: int | None, workers: int | None, model: str | None
) -> Prepared:
    """Fill what was left open from the settings; RedisMissing, PortBusy or FolderInUse.

    The model is `auto` where nobody named one, nor a server that has it; who starts the plan makes
    a name of it before.
    """
    server = find_server()
    api, worker = ApiSettings(), WorkerSettings()
    CourierSettings()  # a wrong setting is reported now, not by a program that keeps dying
    RetentionSettings()
    host = host or api.api_host
    wanted = api.api_port if port is None else port
    count = workers or worker.worker_count
    if wanted and not port_is_free(host, wanted):
        raise PortBusy(
            f"port {wanted} on {host} is in use: stop what listens there, or choose another --port"
        )
    folder = DataFolder(data)
    unnamed = EMBEDDED if worker.has_model_server else AUTO_NAME  # a server's: nothing to fetch
    plan = StackPlan(
        data=data,
        host=host,
        api_port=free_port(host, wanted),
        redis_socket=socket_path(data / "redis"),
        workers=count,
        cpu_threads_per_worker=worker.cpu_threads or threads_per_worker(count, os.cpu_count() or 1),
        grace_seconds=worker.grace_seconds
        if "grace_seconds" in worker.model_fields_set
        else GRACE_SECONDS,
        metrics_port=worker.metrics_port,
        model=model or ("model" in worker.model_fields_set and worker.model) or unnamed,
        model_cache=(worker.model_cache or data / "models").absolute(),
        offline=worker.offline,
        environment=dict(os.environ),
        allowed_hosts=(*api.allowed_hosts, *names_of_machine(host, socket.gethostname())),
    )
    RunningPlatform(
        redis_socket=str(plan.redis_socket),
        key_prefix=plan.redis_settings.key_prefix,
        api_url=plan.api_url,
    ).write(data)
    return Prepared(plan, server, folder, keyless=api.auth == "off")


class LocalPlatform:
    """Start, prove, serve, stop."""

    def __init__(self, prepared: Prepared, console: UpConsole, *, verbose: bool) -> None:
        self._plan = prepared.plan
        self._logs = prepared.plan.log_folder
        self._prepared = prepared
        self._console = console
        self._supervisor = Supervisor(console.note, console.echo if verbose else None)
        self._interrupted = asyncio.Event()
        self._stopping = False

    async def run(self, *, once: bool) -> int:
        """The exit status: 0 after a correct transcript (`once`) or a requested stop."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self._on_signal)
        work = asyncio.create_task(self._work(once))
        interrupted = asyncio.create_task(self._interrupted.wait())
        try:
            await asyncio.wait({work, interrupted}, return_when=asyncio.FIRST_COMPLETED)
            if work.done():
                return work.result()
            return INTERRUPTED if once else 0
        except (ProgramFailed, OSError) as error:
            self._console.problem(str(error))
            return 1
        finally:
            await self._stop(work, interrupted)

    async def _work(self, once: bool) -> int:
        await self._start(once)
        watch = asyncio.create_task(self._supervisor.watch())
        problems = asyncio.create_task(tell_problems(self._plan.api_url, self._console))
        try:
            right = await self._unless_failed(watch, self._demo())
            if once:
                return 0 if right else 1
            self._print_addresses()
            await watch
            return 1
        finally:
            watch.cancel()
            problems.cancel()
            await asyncio.gather(watch, problems, return_exceptions=True)

    async def _start(self, once: bool) -> None:
        plan, supervisor = self._plan, self._supervisor
        self._console.note(f"asr-platform in {plan.data}")
        self._tell_about_folder()
        with self._console.step(f"{self._prepared.server} starts") as change:
            await supervisor.start(
                [plan.redis(self._prepared.server, self._prepared.folder.lock_file)]
            )
            await supervisor.until_ready("redis", self._redis_ready, REDIS_START_SECONDS)
            change(f"{self._prepared.server} on {plan.redis_socket}")
        await self._tell_about_redis()
        numbers = range(1, plan.workers + 1)
        await supervisor.start([plan.api()])
        await supervisor.start([plan.worker(number) for number in numbers])
        with self._console.step("API starts") as change:
            await supervisor.until_ready("api", self._api_ready, API_START_SECONDS)
            change(f"API on {plan.api_url}")
        for number in numbers:
            name = plan.worker_name(number)
            with self._console.step(f"{name} loads its model") as change:
                await supervisor.until_ready(
                    name, partial(self._worker_ready, name), WORKER_START_SECONDS
                )
                change(f"{name} ready")
        if not once:
            await supervisor.start([plan.courier(), plan.retention()])

    def _tell_about_folder(self) -> None:
        """Of folders that an older version left open, or that cannot be closed here."""
        folder = self._prepared.folder
        if folder.was_open:
            self._console.note(
                "  other users could read this folder; its modes are now 0700, files 0600"
            )
        for part in folder.still_open:
            self._console.problem(f"other users can read {part}: chmod 700 {part.resolve()}")

    async def _tell_about_redis(self) -> None:
        """Names settings of another Redis, which would otherwise be taken for the one in use."""
        if unused := self._plan.unused_redis:
            self._console.note(
                f"  {', '.join(unused)} ignored: `asr up` runs a private Redis; "
                "to use yours, run `asr api`, `asr courier` and `asr worker`"
            )
        connection = RedisConnection(self._plan.redis_settings)
        try:
            seen = await read_eviction(connection)
        except DependencyError:
            return
        finally:
            await connection.close()
        if seen.problem:
            self._console.problem(seen.problem)

    async def _redis_ready(self) -> bool:
        connection = RedisConnection(self._plan.redis_settings)
        try:
            await connection.ready()
        except DependencyError:
            return False
        finally:
            await connection.close()
        return True

    async def _api_ready(self) -> bool:
        async with AsyncClient(self._plan.api_url) as client:
            return await client.ready()

    async def _worker_ready(self, name: str) -> bool:
        connection = RedisConnection(self._plan.redis_settings)
        try:
            records = await BacklogReader(connection, QueueSettings()).workers()
        except DependencyError:
            return False
        finally:
            await connection.close()
        return any(record.worker == name for record in records)

    async def _demo(self) -> bool:
        """Transcribe the bundled recording; whether its words came out."""
        demo = find_demo()
        if demo is None:
            missing = "asr_worker/embedded/demo.wav"
            self._console.problem(f"the bundled recording is not installed ({missing})")
            return False
        try:
            async with asyncio.timeout(DEMO_SECONDS):
                transcript = await self._transcribe(demo.audio)
        except TimeoutError:
            self._console.problem(f"no transcript within {DEMO_SECONDS:.0f} s: see {self._logs}")
            return False
        except ClientError as error:
            self._console.problem(f"{demo.audio.name}: {error}; see {self._logs}")
            return False
        self._console.print(f"\n  “{transcript.text}”\n")
        by = f"model: {transcript.model}, engine: {transcript.engine}, device: {transcript.device}"
        self._console.note(f"  {by}")
        if notice := notice_of(transcript.model):
            self._console.problem(notice)
        right = transcript_is_right(transcript.text, demo.expected)
        if not right:
            self._console.problem(f"the expected words are: “{demo.expected}”")
        return right

    async def _transcribe(self, audio: Path) -> Transcript:
        async with AsyncClient(self._plan.api_url, patience_seconds=60.0) as client:
            with self._console.step(f"{audio.name}: uploading") as change:
                return await client.transcribe(
                    audio,
                    lane="interactive",
                    on_progress=lambda task: change(
                        f"{audio.name}: {task.status} {task.progress:.0%}"
                    ),
                )

    def _print_addresses(self) -> None:
        plan, url = self._plan, self._plan.api_url
        demo = find_demo()
        for line in (
            f"  pages      {url}/ and {url}/dashboard",
            f"  API        {url}/api/v1",
            f"  docs       {url}/docs",
            f"  metrics    {url}/metrics",
            f"  logs       {self._logs}",
            f"  queue      asr queue status --data {shlex.quote(str(plan.data))}",
            f"             redis-cli -s {shlex.quote(str(plan.redis_socket))} XLEN asr_tasks",
            "",
            "  Send a recording:",
            f"    curl -F audio=@{demo.audio if demo else 'talk.wav'} {url}/api/v1/asr/submit",
            f"    curl '{url}/api/v1/asr/result/TASK_ID?wait=30&format=text'",
            "",
            "  Ctrl-C stops everything; accepted recordings are kept for the next start.",
        ):
            self._console.print(line)
        if self._prepared.keyless and not is_loopback(plan.host):
            names = ", ".join(("IP addresses", "localhost", *plan.allowed_hosts))
            self._console.problem(
                f"anyone who reaches {plan.host} can use it: ASR_AUTH=keys requires API keys. "
                f"Without keys it answers to {names}; ASR_ALLOWED_HOSTS adds names"
            )

    async def _unless_failed(
        self, watch: asyncio.Task[None], job: Coroutine[Any, Any, bool]
    ) -> bool:
        """The job's result, unless a program fails for good before."""
        task = asyncio.create_task(job)
        try:
            await asyncio.wait({watch, task}, return_when=asyncio.FIRST_COMPLETED)
            if watch.done():
                watch.result()
            return await task
        finally:
            task.cancel()

    async def _stop(self, work: asyncio.Task[int], interrupted: asyncio.Task[bool]) -> None:
        self._stopping = True
        interrupted.cancel()
        work.cancel()
        with contextlib.suppress(asyncio.CancelledError, ProgramFailed, OSError):
            await work
        with self._console.step("stopping") as change:
            await self._supervisor.stop()
            change("stopped")

    def _on_signal(self) -> None:
        """The first signal stops in order, one that comes while stopping kills."""
        if self._stopping:
            self._killing = asyncio.ensure_future(self._supervisor.kill())
        self._interrupted.set()
