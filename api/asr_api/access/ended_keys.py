"""Ends open requests whose key was revoked, has expired or lost its scope.

A request may stay open for minutes after authentication: an event stream, a wait for a transcript,
a slow upload. Its key is checked again every `CHECK_SECONDS`. When the key is no longer valid, the
app receives `http.disconnect`, which every route handles, and the client gets 401 or 403. A task's
event stream just ends, since its client reconnects and gets the error then; a transcript stream,
which cannot be resumed, ends with the error. Any other reply that has started is completed.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from fastapi.sse import format_sse_event
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from asr_api.http.error_reply import reply_to
from asr_core.errors import DependencyError, Forbidden, Unauthenticated

CHECK_SECONDS = 2.0


class OpenRequest:
    """One request; `check_key` raises the error to send. None: the request has no key to check."""

    def __init__(self, receive: Receive, send: Send) -> None:
        self.check_key: Callable[[], Awaitable[object]] | None = None
        self.refusal: Unauthenticated | Forbidden | None = None
        self._started = False
        self._is_event_stream = False
        self._complete = False
        self._receive = receive
        self._send = send
        self._check_at = time.monotonic() + CHECK_SECONDS

    async def receive(self) -> Message:
        while self.refusal is None:
            left_seconds = self._check_at - time.monotonic()
            if left_seconds <= 0:
                await self._check()
                continue
            try:
                async with asyncio.timeout(left_seconds):
                    return await self._receive()
            except TimeoutError:
                continue
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        if self.refusal is not None:
            return  # the app has been told that the client disconnected
        if message["type"] == "http.response.start":
            self._started = True
            kind = Headers(raw=message["headers"]).get("content-type", "")
            self._is_event_stream = kind.startswith("text/event-stream")
        else:
            self._complete = not message.get("more_body", False)
        await self._send(message)

    async def end(self, scope: Scope) -> None:
        """Send the refusal; inside a stream in OpenAI's event format."""
        if self.refusal is None or self._complete:
            return
        reply = reply_to(self.refusal)
        if self._started:
            event = format_sse_event(data_str=bytes(reply.body).decode())
            last = b"" if scope["method"] == "GET" else event
            await self._send({"type": "http.response.body", "body": last, "more_body": False})
        else:
            await reply(scope, self._receive, self._send)

    async def _check(self) -> None:
        self._check_at = time.monotonic() + CHECK_SECONDS
        if self.check_key is None or (self._started and not self._is_event_stream):
            return
        try:
            await self.check_key()
        except DependencyError:
            return  # cannot be verified now; the open request continues
        except (Unauthenticated, Forbidden) as error:
            self.refusal = error


class EndsWithKey:
    """ASGI middleware; `Authenticator` sets the key check on `asr.open_request` in the scope."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = scope["asr.open_request"] = OpenRequest(receive, send)
        try:
            await self._app(scope, request.receive, request.send)
        except ClientDisconnect:
            if request.refusal is None:
                raise
        await request.end(scope)
