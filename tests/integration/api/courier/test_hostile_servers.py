"""Servers that mean harm: whatever they send, and however slowly, a download comes to an end."""

import asyncio
import gzip
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from asr_api.courier.download import DownloadLimits, download
from asr_api.courier.errors import (
    FetchRejected,
    FetchSilent,
    FetchTooLarge,
    FetchTooSlow,
    FetchTrickles,
    FetchUnavailable,
)
from asr_api.egress.http_client import Egress
from asr_api.egress.ssrf_policy import SsrfPolicy
from asr_api.uploads.spool import Spool
from asr_core.errors import AsrError

pytestmark = pytest.mark.asyncio
LIMITS = DownloadLimits(
    max_bytes=1_000_000, idle_seconds=0.3, total_seconds=30.0, window_seconds=0.5, window_bytes=5000
)
Sends = Callable[[asyncio.StreamWriter], Awaitable[None]]
OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"


@pytest_asyncio.fixture
async def serve() -> AsyncIterator[Callable[[Sends], Awaitable[str]]]:
    """Servers that read the head of a request, and then send what they like."""
    running: list[asyncio.Server] = []

    async def start(send: Sends) -> str:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                await reader.readuntil(b"\r\n\r\n")
                await send(writer)
                await reader.read()
            writer.close()

        running.append(await asyncio.start_server(answer, "127.0.0.1", 0))
        return f"http://127.0.0.1:{running[-1].sockets[0].getsockname()[1]}/a"

    yield start
    for server in running:
        server.close()


@pytest_asyncio.fixture
async def fetch(tmp_path: Path) -> AsyncIterator[Callable[..., Awaitable[AsrError]]]:
    """The error that a download ends with, well before it would by its whole time."""
    egress, spool = Egress(SsrfPolicy(("127.0.0.0/8",))), Spool(tmp_path, 10_000_000)
    spool.open()

    async def run(url: str, limits: DownloadLimits = LIMITS) -> AsrError:
        async with asyncio.timeout(15), spool.file() as file:
            with pytest.raises(AsrError) as ended:
                await download(egress, url, file, limits)
        return ended.value

    yield run
    await egress.close()
    spool.close()


def sending(*parts: bytes) -> Sends:
    """These bytes, and then nothing."""

    async def send(writer: asyncio.StreamWriter) -> None:
        writer.writelines(parts)
        await writer.drain()

    return send


def without_end(head: bytes, part: bytes, *, pause_seconds: float = 0.0) -> Sends:
    """A head, and then the same again and again."""

    async def send(writer: asyncio.StreamWriter) -> None:
        writer.write(head)
        while True:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(pause_seconds)

    return send


SLOW = 0.05
SERVERS: dict[str, tuple[Sends, type[AsrError]]] = {
    "never answers": (sending(), FetchSilent),
    "falls silent in its headers": (sending(OK, b"X-A: "), FetchSilent),
    "falls silent in its body": (sending(OK, b"Content-Length: 9\r\n\r\n", b"abc"), FetchSilent),
    "trickles its status line": (without_end(b"", b"H", pause_seconds=SLOW), FetchSilent),
    "trickles a header": (without_end(OK + b"X-A: ", b"a", pause_seconds=SLOW), FetchSilent),
    "trickles headers": (without_end(OK, b"X-A: b\r\n", pause_seconds=SLOW), FetchSilent),
    "trickles early hints": (
        without_end(b"", b"HTTP/1.1 103 Early Hints\r\n\r\n", pause_seconds=SLOW), FetchSilent
    ),
    "hints early without end": (without_end(b"", b"HTTP/1.1 103 Hints\r\n\r\n"), FetchSilent),
    "trickles its body": (without_end(OK + b"\r\n", b"a", pause_seconds=SLOW), FetchTrickles),
    "trickles chunks": (without_end(CHUNKED, b"1\r\na\r\n", pause_seconds=SLOW), FetchTrickles),
    "trickles a chunk's size": (without_end(CHUNKED, b"0", pause_seconds=SLOW), FetchTrickles),
    "trickles a chunk's extension": (
        without_end(CHUNKED + b"1;", b"a", pause_seconds=SLOW), FetchTrickles
    ),
    "trickles trailers": (
        without_end(CHUNKED + b"0\r\n", b"X-A: b\r\n", pause_seconds=SLOW), FetchTrickles
    ),
    "sends chunks that are nearly all extension": (
        without_end(CHUNKED, b"1;" + b"e" * 15_000 + b"\r\na\r\n", pause_seconds=0.001),
        FetchTrickles,
    ),
    "sends one extension without end": (
        without_end(CHUNKED + b"1;", b"e" * 65536), FetchUnavailable
    ),
    "sends headers without end": (without_end(OK, b"X-A: b\r\n" * 1000), FetchUnavailable),
    "sends a body without end": (without_end(OK + b"\r\n", b"a" * 65536), FetchTooLarge),
    "announces more than a number may have": (
        sending(OK, b"Content-Length: ", b"9" * 6000, b"\r\n\r\n"), FetchUnavailable
    ),
    "announces a terabyte": (sending(OK, b"Content-Length: 1000000000000\r\n\r\n"), FetchTooLarge),
    "sends a bomb": (
        sending(OK, b"Content-Encoding: gzip\r\n\r\n", gzip.compress(bytes(10**7))), FetchRejected
    ),
    "compresses the transfer": (
        sending(OK, b"Transfer-Encoding: gzip, chunked\r\n\r\n1\r\na\r\n"), FetchUnavailable
    ),
    "redirects to itself": (
        sending(b"HTTP/1.1 302 Found\r\nLocation: /a\r\nContent-Length: 0\r\n\r\n"), FetchRejected
    ),
    "asks for an age": (
        sending(b"HTTP/1.1 503 Busy\r\nRetry-After: ", b"9" * 400, b"\r\n\r\n"), FetchUnavailable
    ),
}  # fmt: skip


@pytest.mark.parametrize("behaviour", SERVERS)
async def test_a_download_from_a_server_that_means_harm_ends(
    behaviour: str, serve: Any, fetch: Any
) -> None:
    sends, expected = SERVERS[behaviour]
    error = await fetch(await serve(sends))
    assert type(error) is expected, error
    assert (error.retry_after_seconds or 0) <= 3600


async def test_a_chain_of_slow_redirects_ends_with_the_whole_time(serve: Any, fetch: Any) -> None:
    async def redirect(writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.2)
        writer.write(b"HTTP/1.1 302 Found\r\nLocation: /a\r\nContent-Length: 0\r\n\r\n")

    limits = DownloadLimits(1000, 0.3, 0.5, window_seconds=0.5, window_bytes=1)
    assert isinstance(await fetch(await serve(redirect), limits), FetchTooSlow)


async def test_a_body_at_the_least_rate_arrives_whole(serve: Any, tmp_path: Path) -> None:
    async def send(writer: asyncio.StreamWriter) -> None:
        writer.write(OK + b"Content-Length: 6000\r\n\r\n")
        for _ in itertools.repeat(None, 6):
            writer.write(bytes(1000))
            await writer.drain()
            await asyncio.sleep(0.02)

    egress, spool = Egress(SsrfPolicy(("127.0.0.0/8",))), Spool(tmp_path, 10_000_000)
    spool.open()
    async with spool.file() as file:
        await download(egress, await serve(send), file, LIMITS)
        assert file.size == 6000
    await egress.close()
    spool.close()


async def test_a_download_below_the_least_rate_is_tried_again_so_often_and_then_fails(
    own_platform: Any, start_server: Any, answers: Any, start_courier: Any, until: Any
) -> None:
    server = await start_server(answers.endless(0.02, b"x"))
    async with httpx.AsyncClient(base_url=own_platform.url, timeout=30) as client:
        reply = await client.post("/api/v1/asr/submit", json={"url": server.url()})
        result = f"/api/v1/asr/result/{reply.json()['task_id']}"
        await start_courier(
            fetch_rate_window_seconds=0.3, fetch_min_bytes_per_second=4096.0, retry_limit=1
        )

        async def has_failed() -> bool:
            return (await client.get(result)).json()["status"] == "failed"

        await until(has_failed)
        error = (await client.get(result)).json()["error"]
    assert error == {
        "code": "fetch_too_slow",
        "message": "The server sent less than 1229 bytes within 0.3 seconds.",
    }
    assert len(server.requests) == 2
