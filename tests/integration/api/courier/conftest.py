"""Receivers and servers of recordings on this machine, and couriers in the test or beside it."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import pytest_asyncio

from asr_api.courier.program import run_courier
from asr_api.settings.courier import CourierSettings

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
LOCAL = ("127.0.0.0/8",)
ROOT = Path(__file__).parents[4]


@dataclass(frozen=True)
class Received:
    """One request."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    at: float


Answer = Callable[[Received, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Server:
    """An HTTP server that does what a test says, request by request; the last answer stays."""

    port: int
    answers: list[Answer]
    requests: list[Received] = field(default_factory=list)

    def url(self, path: str = "/") -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    async def wait_for(self, count: int, seconds: float = 20) -> list[Received]:
        async with asyncio.timeout(seconds):
            while len(self.requests) < count:
                await asyncio.sleep(0.02)
        return self.requests

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            first, *lines = head.rstrip().split("\r\n")
            headers = {
                name.lower(): value for name, value in (line.split(": ", 1) for line in lines)
            }
            body = await reader.readexactly(int(headers.get("content-length", 0)))
            method, path, _ = first.split(" ")
            request = Received(method, path, headers, body, time.monotonic())
            answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
            self.requests.append(request)
            await answer(request, writer)
        writer.close()


def reply(status: int, body: bytes = b"", **headers: str) -> Answer:
    """A whole reply."""

    async def answer(_request: Received, writer: asyncio.StreamWriter) -> None:
        lines = [f"HTTP/1.1 {status} Whatever", f"Content-Length: {len(body)}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        writer.write("\r\n".join([*lines, "", ""]).encode() + body)
        await writer.drain()

    return answer


def stall(body: bytes = b"", announced: int = 0) -> Answer:
    """The beginning of a reply, or none, and then silence until the client goes."""

    async def answer(_request: Received, writer: asyncio.StreamWriter) -> None:
        if announced:
            writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {announced}\r\n\r\n".encode() + body)
        with suppress(TimeoutError):
            async with asyncio.timeout(60):
                while not writer.is_closing():
                    await writer.drain()
                    await asyncio.sleep(0.05)

    return answer


def endless(pause_seconds: float = 0.0, chunk: bytes = b"x" * 65536) -> Answer:
    """A reply without an end."""

    async def answer(_request: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
        while not writer.is_closing():
            writer.write(chunk)
            await writer.drain()
            await asyncio.sleep(pause_seconds)

    return answer


@pytest.fixture
def answers() -> SimpleNamespace:
    """How a server may answer."""
    return SimpleNamespace(reply=reply, stall=stall, endless=endless)


@pytest_asyncio.fixture
async def start_server() -> AsyncIterator[Callable[..., Awaitable[Server]]]:
    """Starts servers, each with the answers that it gives in turn."""
    running: list[asyncio.Server] = []

    async def start(*given: Answer) -> Server:
        server = Server(0, list(given) or [reply(204)])
        listening = await asyncio.start_server(server.serve, "127.0.0.1", 0, limit=1 << 20)
        running.append(listening)
        server.port = listening.sockets[0].getsockname()[1]
        return server

    yield start
    for listening in running:
        listening.close()


def courier_values(platform: Any, **changes: Any) -> dict[str, Any]:
    """The settings of a courier that belongs to this API, with short times."""
    shared = platform.settings
    return {
        "url": shared.url,
        "key_prefix": shared.key_prefix,
        "store_url": shared.store_url,
        "spool_dir": shared.spool_dir.with_name("courier-spool"),
        "webhook_secret": (SECRET,),
        "allow_private_urls": LOCAL,
        "webhook_retry_seconds": (0.1,) * 5,
        "webhook_timeout_seconds": 1.0,
        "retry_backoff_seconds": 0.05,
        "fetch_idle_seconds": 2.0,
        "lease_seconds": 2.0,
        "grace_seconds": 0.0,
        **changes,
    }


@pytest_asyncio.fixture
async def start_courier(own_platform: Any) -> AsyncIterator[Callable[..., Awaitable[None]]]:
    """Runs couriers in the test's own loop."""
    running: list[asyncio.Task[None]] = []

    async def start(**changes: Any) -> None:
        settings = CourierSettings(_env_file=None, **courier_values(own_platform, **changes))
        running.append(asyncio.create_task(run_courier(settings)))

    yield start
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)


@dataclass
class CourierPrograms:
    """`asr courier` in processes of its own."""

    folder: Path
    platform: Any
    started: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(self, **changes: Any) -> subprocess.Popen[bytes]:
        values = courier_values(self.platform, **changes)
        names = {"key_prefix": "ASR_KEY_PREFIX", "url": "ASR_REDIS_URL"}
        own = {names.get(name, f"ASR_{name.upper()}"): _text(v) for name, v in values.items()}
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("ASR_", "REDIS_"))}
        rooms = ("core", "api", "worker", "cli", "client")
        path = os.pathsep.join(str(ROOT / room) for room in rooms)
        with (self.folder / f"courier-{len(self.started)}.log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "asr_cli", "courier"],
                cwd=self.folder, env={**kept, "PYTHONPATH": path, **own}, stdout=log, stderr=log,
            )  # fmt: skip
        self.started.append(process)
        return process

    def log(self, number: int = 0) -> str:
        return (self.folder / f"courier-{number}.log").read_text()


def _text(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


@pytest.fixture
def courier_programs(tmp_path: Path, own_platform: Any) -> Iterator[CourierPrograms]:
    programs = CourierPrograms(tmp_path, own_platform)
    yield programs
    for process in programs.started:
        process.kill()
        process.wait()


@pytest.fixture
def own_platform(start_platform: Callable[..., Any]) -> Any:
    """An API that may call this machine."""
    return start_platform(webhook_secret=(SECRET,), allow_private_urls=LOCAL, lease_seconds=2.0)


@pytest.fixture
def until() -> Callable[..., Awaitable[None]]:
    """Waits for a condition that Redis tells."""

    async def wait(condition: Callable[[], Awaitable[bool]], seconds: float = 20) -> None:
        async with asyncio.timeout(seconds):
            while not await condition():
                await asyncio.sleep(0.05)

    return wait


@pytest.fixture
def secret() -> str:
    return SECRET
