"""One connection's bounds: headers without end and without number, answers that still arrive."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

pytestmark = pytest.mark.asyncio


@pytest.fixture
def connect(start_platform: Any) -> Any:
    """Opens raw connections to an API that waits half a second for headers."""
    platform = start_platform(upload_idle_seconds=0.5)
    host, port = platform.url.removeprefix("http://").split(":")
    return lambda: asyncio.open_connection(host, int(port))


async def answer(reader: asyncio.StreamReader) -> tuple[int, dict[str, str], Any]:
    """Status, headers and body of a reply that ends with its connection."""
    async with asyncio.timeout(10):
        raw = await reader.read()
    head, _, body = raw.partition(b"\r\n\r\n")
    status, *lines = head.decode().split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines)
    return int(status.split()[1]), headers, json.loads(body)


def assert_is_error(told: tuple[int, dict[str, str], Any], status: int, code: str) -> None:
    assert told[0] == status
    assert set(told[2]["error"]) == {"message", "type", "param", "code"}
    assert told[2]["error"]["code"] == code
    assert told[1]["x-request-id"]
    assert told[1]["connection"] == "close"


async def test_headers_that_do_not_end_are_408(connect):
    reader, writer = await connect()
    writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\n")
    assert_is_error(await answer(reader), 408, "request_timeout")


async def test_a_connection_that_says_nothing_is_closed(connect):
    reader, _ = await connect()
    assert_is_error(await answer(reader), 408, "request_timeout")


async def test_the_second_request_of_a_connection_has_no_more_time(connect):
    reader, writer = await connect()
    writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
    assert await reader.readuntil(b"\r\n\r\nok")
    writer.write(b"GET /healthz HTTP/1.1\r\nHost")
    assert_is_error(await answer(reader), 408, "request_timeout")


async def test_slow_headers_that_end_in_time_are_served(connect):
    reader, writer = await connect()
    for byte in b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n":
        writer.write(bytes([byte]))
        await writer.drain()
    assert (await reader.readline()).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(
    "line",
    [b"a: b\r\n" * 300, b"a: " + b"b" * 400_000, b"a" * 400_000],
    ids=["many", "long", "name"],
)
async def test_headers_without_end_are_431(connect, line):
    reader, writer = await connect()
    writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\n" + line)
    assert_is_error(await answer(reader), 431, "headers_too_large")


async def test_two_hundred_headers_are_served(connect):
    reader, writer = await connect()
    writer.write(b"GET /healthz HTTP/1.1\r\n" + b"a: b\r\n" * 200 + b"\r\n")
    assert (await reader.readline()).startswith(b"HTTP/1.1 200 ")


async def test_what_is_no_http_is_400_with_the_body_of_every_error(connect):
    reader, writer = await connect()
    writer.write(b"\x16\x03\x01 hello\r\n\r\n")
    assert_is_error(await answer(reader), 400, "bad_request")


async def test_an_upgrade_to_a_web_socket_is_not_served(connect):
    reader, writer = await connect()
    writer.write(
        b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    assert (await reader.readline()).startswith(b"HTTP/1.1 200 ")
