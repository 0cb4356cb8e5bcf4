"""Protocol upgrade offers, which a server may ignore (RFC 9110, section 7.8).

JDK's HttpClient and `curl --http2` offer `Upgrade: h2c` on every request in plain HTTP. httptools
stops at the end of such a request's headers and never parses its body.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import httptools

# RFC 7540, section 3.2.1: belongs to the offer, and is named in `Connection` with it.
_OF_THE_OFFER = frozenset({b"upgrade", b"http2-settings"})

Header = tuple[bytes, bytes]


class RequestParser:
    """httptools' parser. If `takes_offer` returns False, an upgrade is ignored: the request is
    parsed again without the offer, body included. `offered` is true while parsing a head that will
    be parsed again.
    """

    def __init__(
        self, protocol: Any, takes_offer: Callable[[], bool], head: Callable[[], bytes]
    ) -> None:
        self._protocol = protocol
        self._takes_offer = takes_offer
        self._head = head
        self._parser = _parser(protocol)

    @property
    def offered(self) -> bool:
        return (
            self._parser.should_upgrade()
            and self._parser.get_method() != b"CONNECT"
            and not self._takes_offer()
        )

    def feed_data(self, data: bytes) -> None:
        """Like httptools'; raises HttpParserUpgrade only for an accepted offer."""
        rest = memoryview(data)
        while True:
            try:
                self._parser.feed_data(rest)
                return
            except httptools.HttpParserUpgrade as stopped:
                if not self.offered:
                    raise
                rest = rest[stopped.args[0] :]
            head = self._head()
            self._parser = _parser(self._protocol)
            self._parser.feed_data(head)

    def should_upgrade(self) -> bool:
        return bool(self._parser.should_upgrade())

    def should_keep_alive(self) -> bool:
        return bool(self._parser.should_keep_alive())

    def get_http_version(self) -> str:
        return str(self._parser.get_http_version())

    def get_method(self) -> bytes:
        return bytes(self._parser.get_method())


def head_without_offer(method: bytes, url: bytes, version: str, headers: Sequence[Header]) -> bytes:
    """The request head without the upgrade offer. Pure."""
    lines = [b" ".join((method, url, b"HTTP/" + version.encode()))]
    for name, value in headers:
        if name == b"connection":
            options = (option.strip() for option in value.split(b","))
            value = b", ".join(o for o in options if o and o.lower() not in _OF_THE_OFFER)
        if value and name not in _OF_THE_OFFER:
            lines.append(name + b": " + value)
    return b"\r\n".join((*lines, b"", b""))


def _parser(protocol: Any) -> Any:
    """Configured as uvicorn does: data after `Connection: close` is tolerated."""
    parser = httptools.HttpRequestParser(protocol)
    parser.set_dangerous_leniencies(lenient_data_after_close=True)
    return parser
