"""Sockets to listen on, for IPv4 and IPv6 alike.

`::` stands for all addresses of both families. asyncio makes of it a socket that takes IPv6 only,
and a machine whose kernel has no IPv6 refuses it: so programs open their sockets here.
"""

from __future__ import annotations

import errno
import logging
import socket
import sys
import threading
from collections.abc import Callable
from http.client import HTTPException
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer
from wsgiref.types import WSGIApplication

ALL_ADDRESSES = "::"
_EVERY_FAMILY = (ALL_ADDRESSES, "0.0.0.0")
_NO_SUCH_FAMILY = {errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL, errno.EPFNOSUPPORT}
_TRIES = 20  # for a port that both families have free


def bound_sockets(host: str, port: int) -> list[socket.socket]:
    """A bound socket for each address of `host`; `::` is every address of IPv6 and of IPv4.

    A family that this machine lacks is left out. Port 0: one that is free, the same for all. Raises
    OSError, as `bind` does, and where the host has no address here.
    """
    for _ in range(_TRIES - 1):
        try:
            return _bound(host, port)
        except OSError as error:
            if port or error.errno != errno.EADDRINUSE:
                raise
    return _bound(host, port)


def url_host(host: str) -> str:
    """A host as it stands in a URL: an IPv6 address in brackets."""
    return f"[{host}]" if ":" in host else host


def _bound(host: str, port: int) -> list[socket.socket]:
    sockets: list[socket.socket] = []
    lacking: OSError | None = None
    try:
        for each in _EVERY_FAMILY if host in ("", ALL_ADDRESSES) else (host,):
            for family, _, _, _, address in socket.getaddrinfo(
                each, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            ):
                chosen = sockets[0].getsockname()[1] if sockets else port
                try:
                    sockets.append(_socket(family, (address[0], chosen, *address[2:])))
                except OSError as error:
                    if error.errno not in _NO_SUCH_FAMILY:
                        raise
                    lacking = error
        if lacking and not sockets:
            raise lacking
    except OSError:
        for opened in sockets:
            opened.close()
        raise
    return sockets


def _socket(family: int, address: tuple[object, ...]) -> socket.socket:
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            # IPv4 has a socket of its own, and its clients keep their addresses.
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        made.bind(address)
    except OSError:
        made.close()
        raise
    return made


class _Handler(WSGIRequestHandler):
    timeout = 10.0

    def log_message(self, format: str, *args: object) -> None:
        """Probes come every few seconds."""


class _Server(ThreadingMixIn, WSGIServer):
    """On a socket that is bound already."""

    daemon_threads = True

    def __init__(self, bound: socket.socket, app: WSGIApplication) -> None:
        super().__init__(bound.getsockname()[:2], _Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = bound
        self.server_name, self.server_port = bound.getsockname()[:2]
        self.setup_environ()
        self.set_app(app)
        self.server_activate()

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that go away, fall silent or speak no HTTP are no errors of this program; the
        standard library prints a traceback for each.
        """
        if not isinstance(sys.exception(), OSError | HTTPException):
            logging.getLogger(__name__).exception("request_failed")


class WsgiServer:
    """Answers on threads of its own, on the addresses of `host`, from now until `close`."""

    def __init__(self, host: str, port: int, app: WSGIApplication, *, name: str) -> None:
        servers = [_Server(bound, app) for bound in bound_sockets(host, port)]
        self.port = servers[0].server_port
        self._stops: list[Callable[[], None]] = []
        for server in servers:
            threading.Thread(target=server.serve_forever, name=name, daemon=True).start()
            self._stops += [server.shutdown, server.server_close]

    def close(self) -> None:
        for stop in self._stops:
            stop()
