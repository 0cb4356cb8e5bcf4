"""Clients that never end, never begin or never read: cut off, while all others are served.

One real API process; its memory and its descriptors are looked at while a thousand of them come.
"""

from __future__ import annotations

import asyncio
import io
import random
import socket
import struct
import time
import wave
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from asr_api.http.file_limits import raise_file_limit

pytestmark = pytest.mark.asyncio

MIB = 1024 * 1024
SUBMIT = "/api/v1/asr/submit"
FILE_HEAD = b'--X\r\nContent-Disposition: form-data; name="audio"; filename="a.wav"\r\n\r\n'
FIELD_HEAD = b'--X\r\nContent-Disposition: form-data; name="hotwords"\r\n\r\n'


def head(*lines: str) -> bytes:
    fixed = (
        f"POST {SUBMIT} HTTP/1.1",
        "Host: localhost",
        "Content-Type: multipart/form-data;boundary=X",
    )
    return "\r\n".join((*fixed, *lines, "", "")).encode()


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


@dataclass(frozen=True)
class Hostile:
    """Sends `first`, then `more` every `pause_seconds`, for ever; reads only the status line, which
    is empty when the connection was reset.
    """

    first: bytes
    more: bytes
    pause_seconds: float
    status: int

    async def status_line(self, address: tuple[str, int]) -> str:
        reader, writer = await asyncio.open_connection(*address)
        answer = asyncio.create_task(reader.readline())
        try:
            writer.write(self.first)
            async with asyncio.timeout(120):
                while not answer.done():
                    with suppress(ConnectionError):
                        writer.write(self.more)
                        await writer.drain()
                    await asyncio.wait({answer}, timeout=self.pause_seconds)
            return "" if answer.exception() else answer.result().decode().strip()
        finally:
            answer.cancel()
            writer.transport.abort()


TRICKLE = b"\0"
HOSTILE = {
    "20 GB announced": Hostile(head("Content-Length: 20000000000"), bytes(65_536), 0.1, 413),
    "endless chunks": Hostile(
        head("Transfer-Encoding: chunked") + chunk(FILE_HEAD), chunk(bytes(65_536)), 0.1, 413
    ),
    "endless fields": Hostile(
        head("Transfer-Encoding: chunked"),
        chunk(FIELD_HEAD + bytes(50_000) + b"\r\n"),
        0.1, 413,
    ),
    "trickle": Hostile(head("Content-Length: 5000") + FILE_HEAD, b"\0", 0.2, 408),
    "announced too large": Hostile(head("Content-Length: 5000") + FILE_HEAD, b"", 1.0, 408),
    "announced too small": Hostile(head("Content-Length: 100") + FILE_HEAD, bytes(1000), 1.0, 400),
    "headers never end": Hostile(b"GET / HTTP/1.1\r\nHost: localhost\r\n", b"a: b\r\n", 0.2, 408),
    "endless headers": Hostile(b"GET / HTTP/1.1\r\n", b"a: b\r\n" * 5000, 0.1, 431),
    "endless trailers": Hostile(
        head("Transfer-Encoding: chunked") + chunk(FILE_HEAD) + b"0\r\n",
        b"a: b\r\n" * 5000, 0.1, 431,
    ),
    "silent": Hostile(b"", b"", 1.0, 408),
}  # fmt: skip


@dataclass
class Watched:
    """What was seen of the API while the hostile ones came."""

    rss_bytes: list[int] = field(default_factory=list)
    open_files: list[int] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    slowest_seconds: float = 0.0


@asynccontextmanager
async def watched(api: Any, wav: bytes) -> AsyncIterator[Watched]:
    """Submits and asks for its health all the while, as another client does."""
    seen = Watched()

    async def look() -> None:
        while True:
            seen.rss_bytes.append(api.rss_bytes())
            seen.open_files.append(api.open_files())
            await asyncio.sleep(0.05)

    async def use() -> None:
        async with httpx.AsyncClient(base_url=api.url, timeout=60) as client:
            while True:
                began = time.monotonic()
                submitted = await client.post(SUBMIT, files={"audio": wav})
                alive = await client.get("/healthz")
                seen.slowest_seconds = max(seen.slowest_seconds, time.monotonic() - began)
                seen.statuses.update((submitted.status_code, alive.status_code))
                await asyncio.sleep(0.1)

    tasks = [asyncio.create_task(look()), asyncio.create_task(use())]
    try:
        yield seen
        for task in tasks:
            assert not task.done(), task.exception()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_thousand_hostile_clients_are_cut_off_and_the_others_are_served(
    start_api: Any, wav: bytes
) -> None:
    raise_file_limit()
    api = start_api(ASR_UPLOAD_IDLE_SECONDS=3, ASR_MAX_UPLOAD_BYTES=4_000_000)
    await asyncio.to_thread(api.wait_until_ready)
    kinds = list(HOSTILE) * 100
    random.Random(1).shuffle(kinds)
    async with watched(api, wav) as seen:
        while len(seen.statuses) < 2:
            await asyncio.sleep(0.05)
        lines = await asyncio.gather(*(HOSTILE[kind].status_line(api.address) for kind in kinds))
    told = Counter((kind, line[9:12]) for kind, line in zip(kinds, lines, strict=True))
    # Where a machine is so busy that they come too slowly, their time is up first, and where too
    # many are there at once they are told to come again.
    assert {status for _, status in told} <= {"400", "408", "413", "431", "503"}
    for kind, one in HOSTILE.items():
        ends = {f"{one.status}", "408", "503"}
        assert sum(told[kind, status] for status in ends) == 100, (kind, told)
        assert told[kind, f"{one.status}"] > 50, (kind, told)
    assert set(seen.statuses) == {200, 202}
    assert seen.slowest_seconds < 30
    # A quarter of a megabyte for each, whatever it sends.
    assert max(seen.rss_bytes) - seen.rss_bytes[0] < 256 * MIB
    assert max(seen.open_files) < 1500
    async with asyncio.timeout(10):
        while api.connections() or api.spooled():
            await asyncio.sleep(0.1)


async def test_where_descriptors_are_scarce_those_too_many_are_told_when_to_come_again(
    start_api: Any, wav: bytes
) -> None:
    raise_file_limit()
    api = start_api(files=320, ASR_UPLOAD_IDLE_SECONDS=3)
    await asyncio.to_thread(api.wait_until_ready)
    slow = HOSTILE["announced too large"]
    lines = await asyncio.gather(*(slow.status_line(api.address) for _ in range(600)))
    told = Counter(line.removeprefix("HTTP/1.1 ")[:3] for line in lines)
    assert set(told) <= {"408", "503", ""}
    assert told["408"] >= 20
    assert told["503"] >= 20
    async with httpx.AsyncClient(base_url=api.url, timeout=30) as client:
        assert (await client.post(SUBMIT, files={"audio": wav})).status_code == 202
    assert "Traceback" not in api.log.read_text()


async def test_readers_that_never_read_or_vanish_are_let_go(
    start_api: Any, behind: Any, transcript: Any
) -> None:
    api = start_api(
        ASR_UPLOAD_IDLE_SECONDS=0.5, ASR_EVENTS_MAX_SECONDS=2, ASR_EVENTS_HEARTBEAT_SECONDS=0.005
    )
    await asyncio.to_thread(api.wait_until_ready)
    async with httpx.AsyncClient(base_url=api.url, timeout=30) as client:
        accepted = await client.post(SUBMIT, files={"audio": silence(600)})
        links = accepted.json()["links"]
        rss_bytes = api.rss_bytes()
        paths = [links["audio"], links["events"], f"{links['result']}?wait=60"]
        deaf = [await deaf_reader(api.address, path) for path in paths * 20]
        async with asyncio.timeout(10):
            while api.connections() < len(deaf):
                await asyncio.sleep(0.02)
        for socket in deaf[1::2]:
            socket.transport.abort()
        began = time.monotonic()
        assert await behind.work(transcript) == [accepted.json()["task_id"]]
        assert (await client.get(links["result"])).json()["status"] == "completed"
        assert time.monotonic() - began < 10
        async with asyncio.timeout(30):
            while api.connections() > 1:  # the client's own
                await asyncio.sleep(0.1)
    assert api.rss_bytes() - rss_bytes < 64 * MIB
    assert "Traceback" not in api.log.read_text()


def silence(seconds: int) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setparams((1, 2, 8000, 0, "NONE", ""))
        out.writeframes(bytes(16_000 * seconds))
    return file.getvalue()


async def deaf_reader(address: tuple[str, int], path: str) -> asyncio.StreamWriter:
    """Asks for something, and reads nothing of it."""
    reader, writer = await asyncio.open_connection(*address, limit=1024)
    transport: Any = reader._transport  # type: ignore[attr-defined]
    transport.pause_reading()
    writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    await writer.drain()
    return writer


async def test_clients_that_go_away_in_mid_pipeline_log_no_traceback(
    start_api: Any, redis_server: Any, wav: bytes
) -> None:
    api = start_api(ASR_EVENTS_HEARTBEAT_SECONDS=0.2)
    await asyncio.to_thread(api.wait_until_ready)
    async with httpx.AsyncClient(base_url=api.url, timeout=30) as client:
        links = (await client.post(SUBMIT, files={"audio": wav})).json()["links"]
    half = head("Content-Length: 900000") + FILE_HEAD + bytes(300_000)
    short = head("Content-Length: 5") + b"--X--"
    told = [get(path) for path in ("/api/v1/asr/history", "/api/v1/health", "/metrics")]
    pipelines = [
        *(request * 30 for request in told),
        get("/docs/static/swagger-ui-bundle.js") * 10,
        get(links["audio"]) * 30,
        get(links["events"]) + told[0] * 3,
        get(f"{links['result']}?wait=30") + told[0] * 3,
        told[0] * 3 + half,
        half,
        short + told[1] * 5,
        told[0] * 3 + b"\x16\x03\x01\0no HTTP\r\n\r\n",
        get("/api/v1/asr/history", "Connection: Upgrade", "Upgrade: h2c") * 10,
        b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03" + bytes(range(256)),
    ]
    ends = [(part, pause) for part in (0.5, 0.97, 1.0) for pause in (0.0, 0.002, 0.03)]
    for pipeline in pipelines:
        await asyncio.gather(*(leave(api.address, pipeline, *end) for end in ends))
    async with asyncio.timeout(30):
        while api.connections():
            await asyncio.sleep(0.05)
        # Whoever was in the middle of something has noticed as well.
        with redis_server.client() as redis:
            while redis.pubsub_channels("*changed*"):
                await asyncio.sleep(0.05)
    log = api.log.read_text()
    assert "Traceback" not in log
    assert '"level": "error"' not in log


def get(path: str, *lines: str) -> bytes:
    return "\r\n".join((f"GET {path} HTTP/1.1", "Host: localhost", *lines, "", "")).encode()


async def leave(address: tuple[str, int], sent: bytes, part: float, pause: float) -> None:
    """Sends a part of it, reads next to nothing, and resets the connection."""
    _, writer = await asyncio.open_connection(*address, limit=1024)
    writer.write(sent[: int(len(sent) * part)])
    with suppress(ConnectionError):
        await writer.drain()
        await asyncio.sleep(pause)
    connection = writer.transport.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
