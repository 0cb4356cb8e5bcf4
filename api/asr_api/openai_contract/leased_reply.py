"""A reply that releases its client's waiter lease, and knows whether it was received whole."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from asr_api.background.waiter_leases import WaiterLease

PIECE_BYTES = 32 * 1024


async def pieces_of(body: bytes) -> AsyncGenerator[bytes]:
    """A body in pieces: the server applies back-pressure between them."""
    for start in range(0, len(body), PIECE_BYTES):
        yield body[start : start + PIECE_BYTES]


class LeasedReply(StreamingResponse):
    """Sends `pieces` until they end or the client disconnects, then releases the lease.

    `answered` means that the client was still connected when the last piece was sent.
    """

    def __init__(
        self,
        pieces: AsyncGenerator[bytes],
        lease: WaiterLease,
        *,
        media_type: str,
        headers: Mapping[str, str],
    ) -> None:
        super().__init__(pieces, media_type=media_type, headers=dict(headers))
        self._pieces = pieces
        self._lease = lease

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        gone = asyncio.create_task(_gone(receive))
        answered = False
        try:
            async with aclosing(self._pieces) as pieces:
                start = {"type": "http.response.start", "status": self.status_code}
                await send({**start, "headers": self.raw_headers})
                while (piece := await _unless_gone(pieces, gone)) is not None:
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
            answered = not gone.done()
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            gone.cancel()
            self._lease.release(answered=answered)


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _unless_gone(pieces: AsyncIterator[bytes], gone: asyncio.Task[None]) -> bytes | None:
    """The next piece; None at their end, or when the caller has gone."""
    piece = asyncio.ensure_future(anext(pieces, None))
    try:
        await asyncio.wait({piece, gone}, return_when=asyncio.FIRST_COMPLETED)
        return None if gone.done() else await piece
    finally:
        if not piece.done():
            piece.cancel()
            await asyncio.gather(piece, return_exceptions=True)
