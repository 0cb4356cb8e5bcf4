"""Replies sent before the request body has been read, delivered reliably.

Closing a socket while bytes arrive resets the connection, and the reset may discard the reply
before the client reads it. So such a reply says `Connection: close`, is sent whole, and the rest of
the body is discarded for a bounded time.
"""

from __future__ import annotations

import asyncio

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LINGER_SECONDS = 5.0
LINGER_BYTES = 1024 * 1024 * 1024


class EarlyReply:
    """ASGI middleware; see the module's docstring."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        linger_seconds: float = LINGER_SECONDS,
        linger_bytes: int = LINGER_BYTES,
    ) -> None:
        self._app = app
        self._linger_seconds = linger_seconds
        self._linger_bytes = linger_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not _has_body(scope):
            await self._app(scope, receive, send)
            return
        body_read = False
        early = False

        async def watched_receive() -> Message:
            nonlocal body_read
            message = await receive()
            body_read = body_read or not message.get("more_body", False)
            return message

        async def closing_send(message: Message) -> None:
            nonlocal early
            if message["type"] == "http.response.start" and not body_read:
                early = True
                MutableHeaders(scope=message)["Connection"] = "close"
            last = message["type"] == "http.response.body" and not message.get("more_body", False)
            if not (early and last):
                await send(message)
                return
            await send({**message, "more_body": True})
            await self._discard_body(receive)
            await send({"type": "http.response.body", "body": b"", "more_body": False})

        await self._app(scope, watched_receive, closing_send)

    async def _discard_body(self, receive: Receive) -> None:
        left_bytes = self._linger_bytes
        try:
            async with asyncio.timeout(self._linger_seconds):
                while left_bytes > 0:
                    message = await receive()
                    left_bytes -= len(message.get("body", b""))
                    if not message.get("more_body", False):
                        return
        except TimeoutError:
            return


def _has_body(scope: Scope) -> bool:
    headers = dict(scope["headers"])
    return headers.get(b"content-length", b"0") != b"0" or b"transfer-encoding" in headers
