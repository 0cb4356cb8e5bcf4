"""`HEAD` wherever `GET` is served: the same reply without its body (RFC 9110, section 9.3.2)."""

from __future__ import annotations

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_IS_HEAD = "asr.head"


class HeadAsGet:
    """ASGI middleware, transparent to routes. The reply ends after its headers."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return

        async def send_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                await send(message)
                await send({"type": "http.response.body", "body": b"", "more_body": False})

        # A copy: the server reads the method of its own scope to decide whether to send a body.
        as_get = {**scope, "method": "GET", _IS_HEAD: True}
        try:
            await self._app(as_get, receive, send_headers)
        finally:
            if "route" in as_get:
                scope["route"] = as_get["route"]


def is_head(request: Request) -> bool:
    """Whether the body will be discarded, for routes that can skip producing it."""
    return _IS_HEAD in request.scope
