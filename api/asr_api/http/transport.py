"""A transport that drops writes after its end instead of raising.

uvloop raises RuntimeError on a transport that is closed or has sent EOF. A reply in progress cannot
know that: the client disconnected, or another request of the same pipeline was refused.
"""

from __future__ import annotations

import asyncio
from typing import Any


class OpenTransport:
    """Wraps a connection's transport; other attributes are delegated."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._ended = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        if not (self._ended or self._transport.is_closing()):
            self._transport.write(data)

    def write_eof(self) -> None:
        if not (self._ended or self._transport.is_closing()):
            self._transport.write_eof()
        self._ended = True

    def pause_reading(self) -> None:
        if not self._transport.is_closing():
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        if not self._transport.is_closing():
            self._transport.resume_reading()
