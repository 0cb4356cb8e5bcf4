from __future__ import annotations

import asyncio

import pytest

from chaos.proxy import FaultProxy

pytestmark = pytest.mark.asyncio


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while line := await reader.readline():
        writer.write(line)
    writer.close()


async def test_a_snag_that_is_forgotten_stops_nothing_and_others_still_do() -> None:
    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    async with server, FaultProxy(server.sockets[0].getsockname()[1]) as proxy:
        forgotten, kept = proxy.stop_reply(b"one"), proxy.stop_reply(b"two")
        proxy.forget(forgotten)
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        writer.write(b"one\n")
        assert await asyncio.wait_for(reader.readline(), 10) == b"one\n"
        writer.write(b"two\n")
        await asyncio.wait_for(kept.caught.wait(), 10)
        assert not forgotten.caught.is_set()
        proxy.forget(kept)  # too late: it has caught, and is released or cut
        kept.release()
        assert await asyncio.wait_for(reader.readline(), 10) == b"two\n"
        writer.close()
