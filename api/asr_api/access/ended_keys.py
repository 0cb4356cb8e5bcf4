"""What a request under way becomes once its key is revoked, has expired or lost its scope.

A request may last for minutes after its key was looked at: an event stream, a wait for a
transcript, a slow upload. While one is open its key is looked at every `CHECK_SECONDS`, and when it
is not good any more the app is told that its client has gone, which every route knows how to deal
with. The client gets 401 or 403. An event stream ends: whoever follows a task connects again and is
told then, and a transcript's stream, which cannot be resumed, ends with the error. Any other reply
that has begun is finished: it is what the key was good for.
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
    """One request; `check_key` raises what the client is told. None: nothing is asked."""

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
            return  # to a client that has gone, as the app thinks
        if message["type"] == "http.response.start":
            self._started = True
            kind = Headers(raw=message["headers"]).get("content-type", "")
            self._is_event_stream = kind.startswith("text/event-stream")
        else:
            self._complete = not message.get("more_body", False)
        await self._send(message)

    async def end(self, scope: Scope) -> None:
        """Tells the refusal; within a stream as OpenAI's clients know it."""
        if self.refusal is None or self._complete:
            return
        reply = reply_to(self.refusal)
        if self._started:
            told = format_sse_event(data_str=bytes(reply.body).decode())
            last = b"" if scope["method"] == "GET" else told
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
            return  # nobody can say; a new request would be told to come again
        except (Unauthenticated, Forbidden) as error:
            self.refusal = error


class EndsWithKey:
    """ASGI middleware; `asr.open_request` in the scope is where the key's check is put."""

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
