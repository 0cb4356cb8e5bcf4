"""One connection, with the limits that uvicorn lacks: time and size of headers, unread replies,
and the number of connections. Upgrade offers that are not accepted are ignored.

Limits within a request belong to its route. This subclasses internals of uvicorn; `pyproject.toml`
bounds its version for that.
"""

from __future__ import annotations

import asyncio
import json
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import uuid_utils
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from asr_api.http.cors import CorsPolicy
from asr_api.http.error_reply import error_body
from asr_api.http.reply_headers import safe_headers
from asr_api.http.transport import OpenTransport
from asr_api.http.upgrade import RequestParser, head_without_offer

HEADERS_MAX_BYTES = 64 * 1024
HEADERS_MAX = 256  # trailers included; a short line costs the parser far more than its bytes
BUSY_RETRY_SECONDS = 5
LINGER_SECONDS = 1.0
REFUSED_AT_ONCE = 64  # connections over the limit that still get a 503


@dataclass(frozen=True)
class ConnectionLimits:
    """`header_seconds`: from the start of the request to the end of its headers. `unread_seconds`:
    how long a client may leave a reply unread (Linux only).
    """

    connections: int
    header_seconds: float
    unread_seconds: float


class BoundedConnection(HttpToolsProtocol):
    """uvicorn's connection; a client that exceeds `limits` gets an error and is disconnected."""

    parser: RequestParser  # type: ignore[assignment]

    def __init__(
        self, *args: Any, limits: ConnectionLimits, cors: CorsPolicy, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.parser = RequestParser(self, self._should_upgrade, self._head_without_offer)
        self._limits = limits
        self._cors = cors
        self._header_timer: asyncio.TimerHandle | None = None
        self._made_progress = False
        self._stalled_bytes = 0
        self._headers = 0
        self._refused = False
        self._running: RequestResponseCycle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(OpenTransport(transport))  # type: ignore[arg-type]
        _bound_unread_replies(transport, self._limits.unread_seconds)
        too_many = len(self.connections) - self._limits.connections
        if too_many > REFUSED_AT_ONCE:
            transport.abort()
        elif too_many > 0:
            self._refuse(503, "too_many_connections", "Too many connections are open.")
        else:
            self._await_headers()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        self._end_requests()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Bounds the bytes between two points of progress (end of headers, body, end of message):
        the parser buffers header lines, trailers and chunk extensions without a limit.
        """
        if self._refused:
            return
        self._made_progress = False
        super().data_received(data)
        self._stalled_bytes = 0 if self._made_progress else self._stalled_bytes + len(data)
        if self._refused or self.transport.is_closing():
            return
        if self._stalled_bytes > HEADERS_MAX_BYTES:
            self._refuse_headers(f"The headers are longer than {HEADERS_MAX_BYTES} bytes.")
        elif self._header_timer is None and not self._busy:
            self._await_headers()

    def on_message_begin(self) -> None:
        self._headers = 0
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers += 1
        if self._headers > HEADERS_MAX:
            raise ValueError  # the parser stops, and `send_400_response` is called
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        if self.parser.offered:
            return
        self._made_progress = True
        self._stop_waiting()
        if (authority := authority_of(self.url)) is not None:
            self.headers[:] = [pair for pair in self.headers if pair[0] != b"host"]
            self.headers.append((b"host", authority))
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._made_progress = True
        super().on_body(body)

    def on_message_complete(self) -> None:
        if self.parser.offered:
            return
        self._made_progress = True
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Parse errors get the standard error body."""
        if self._headers > HEADERS_MAX:
            self._refuse_headers(f"There are more than {HEADERS_MAX} headers.")
        else:
            self._refuse(400, "bad_request", msg)

    def _head_without_offer(self) -> bytes:
        parser = self.parser
        version = parser.get_http_version()
        return head_without_offer(parser.get_method(), self.url, version, self.headers)

    @property
    def _busy(self) -> bool:
        return self._running is not None and not self._running.response_complete

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, app)

    def _end_requests(self) -> None:
        """Disconnect the running request and drop the pipelined ones behind it. uvicorn disconnects
        only the last of a pipeline, and the others would run on for no client.
        """
        self.pipeline.clear()
        if self._running is not None and not self._running.response_complete:
            self._running.disconnected = True
            self._running.message_event.set()

    def _await_headers(self) -> None:
        self._header_timer = self.loop.call_later(self._limits.header_seconds, self._too_slow)

    def _stop_waiting(self) -> None:
        if self._header_timer is not None:
            self._header_timer.cancel()
            self._header_timer = None

    def _too_slow(self) -> None:
        seconds = self._limits.header_seconds
        message = f"The request's headers did not come within {seconds:g} seconds."
        self._refuse(408, "request_timeout", message)

    def _refuse_headers(self, message: str) -> None:
        self._refuse(431, "headers_too_large", message)

    def _refuse(self, status: int, code: str, message: str) -> None:
        """Send an error, unless another reply is half sent, and close after `LINGER_SECONDS`.

        Closing at once while bytes arrive would reset the connection and lose the reply.
        """
        self._stop_waiting()
        self._refused = True
        if self.transport.is_closing():
            return
        if not (self._busy and self._running and self._running.response_started):
            cors = self._cors.reply_headers(self.headers or ())
            safe = safe_headers(shared=bool(self._cors.origins))
            self.transport.write(_reply(status, code, message, safe | cors))
        self._end_requests()
        self.transport.write_eof()
        self.loop.call_later(LINGER_SECONDS, self.transport.close)


def authority_of(target: bytes) -> bytes | None:
    """The host and port of a target such as `http://host:8000/path`; None for a path. RFC 9112,
    section 3.2.2: it replaces `Host`. Pure.
    """
    scheme, mark, rest = target.partition(b"://")
    if not mark or not scheme.isalpha():
        return None
    return re.split(rb"[/?#]", rest, maxsplit=1)[0]


def _reply(status: int, code: str, message: str, headers: Mapping[str, str]) -> bytes:
    body = json.dumps(error_body(status, message, code=code)).encode()
    lines = [
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}",
        "content-type: application/json",
        f"content-length: {len(body)}",
        f"x-request-id: {uuid_utils.uuid7()}",
        "connection: close",
        *(f"{name.lower()}: {value}" for name, value in headers.items()),
    ]
    if status == 503:
        lines.append(f"retry-after: {BUSY_RETRY_SECONDS}")
    return "\r\n".join((*lines, "", "")).encode() + body


def _bound_unread_replies(transport: asyncio.Transport, seconds: float) -> None:
    """TCP user timeout (RFC 5482); on Linux it also ends connections with a closed window."""
    connection = transport.get_extra_info("socket")
    if connection is not None and hasattr(socket, "TCP_USER_TIMEOUT"):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(seconds * 1000))
