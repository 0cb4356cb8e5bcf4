"""A TCP proxy that fails on demand: swallows bytes, cuts connections, stops one chosen request.

It stands between a program and Redis (or a store), so that a test decides at which moment the
network, or the program, dies.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Literal

_CHUNK_BYTES = 65_536


@dataclass(eq=False)
class Snag:
    """Stops the next request that contains `needle`, before it is passed on or before its reply is.

    `caught` is set once that request (or its reply) has come; nothing more passes on its connection
    until `release` or `cut`.
    """

    needle: bytes
    at: Literal["request", "reply"]
    caught: asyncio.Event = field(default_factory=asyncio.Event)
    _released: asyncio.Event = field(default_factory=asyncio.Event)
    _cut: bool = False

    def release(self) -> None:
        """Let it pass after all."""
        self._released.set()

    def cut(self) -> None:
        """Close its connection: the request, or the reply, is lost."""
        self._cut = True
        self._released.set()

    async def passes(self) -> bool:
        """Waits for the verdict; False if the connection is to be closed."""
        self.caught.set()
        await self._released.wait()
        return not self._cut


class FaultProxy:
    """Forwards `127.0.0.1:port` to a target on this machine. Use as an async context manager.

    `swallowing`: connections stay open and no byte passes in either direction, as behind a broken
    switch; what was swallowed is lost. `refusing`: connections are closed as soon as they are made.
    """

    def __init__(self, target_port: int) -> None:
        self.target_port = target_port
        self.port = 0
        self.swallowing = False
        self.swallowed_bytes = 0
        self.refusing = False
        self._snags: list[Snag] = []
        self._open: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> FaultProxy:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = int(self._server.sockets[0].getsockname()[1])
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        for snag in self._snags:
            snag.cut()
        self._server.close()
        self.cut()

    def cut(self) -> None:
        """Break every connection that stands; new ones are welcome."""
        for writer in list(self._open):
            writer.transport.abort()

    def stop_request(self, needle: bytes) -> Snag:
        """The next request with `needle` does not reach the target until it is released."""
        return self._snag(Snag(needle, "request"))

    def stop_reply(self, needle: bytes) -> Snag:
        """The next request with `needle` reaches the target, its reply does not come back."""
        return self._snag(Snag(needle, "reply"))

    def forget(self, snag: Snag) -> None:
        """A snag that has caught nothing stops nothing any more."""
        if snag in self._snags:
            self._snags.remove(snag)

    def _snag(self, snag: Snag) -> Snag:
        self._snags.append(snag)
        return snag

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.refusing:
            writer.transport.abort()
            return
        try:
            up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self.target_port)
        except OSError:
            writer.transport.abort()
            return
        link = _Link(self)
        self._open |= {writer, up_writer}
        try:
            async with asyncio.TaskGroup() as pumps:
                pumps.create_task(link.pump(reader, up_writer, is_reply=False))
                pumps.create_task(link.pump(up_reader, writer, is_reply=True))
        finally:
            self._open -= {writer, up_writer}
            writer.transport.abort()
            up_writer.transport.abort()

    def take_snag(self, data: bytes) -> Snag | None:
        """The first snag whose needle is in `data`; it catches once."""
        for snag in self._snags:
            if snag.needle in data and not snag.caught.is_set():
                self._snags.remove(snag)
                return snag
        return None


class _Link:
    """One connection: what is wanted of its replies is known from its requests."""

    def __init__(self, proxy: FaultProxy) -> None:
        self._proxy = proxy
        self._reply_snag: Snag | None = None

    async def pump(
        self, source: asyncio.StreamReader, target: asyncio.StreamWriter, *, is_reply: bool
    ) -> None:
        with suppress(ConnectionError):
            while data := await source.read(_CHUNK_BYTES):
                if self._proxy.swallowing:
                    self._proxy.swallowed_bytes += len(data)
                    continue
                if not await self._passes(data, is_reply):
                    break
                target.write(data)
                await target.drain()
        target.transport.abort()

    async def _passes(self, data: bytes, is_reply: bool) -> bool:
        if is_reply:
            snag, self._reply_snag = self._reply_snag, None
            return snag is None or await snag.passes()
        snag = self._proxy.take_snag(data)
        if snag is not None and snag.at == "reply":
            self._reply_snag = snag
            return True
        return snag is None or await snag.passes()
