"""`/metrics`, `/healthz` and `/readyz` of this process, for Prometheus and the kubelet.

Answered on threads of their own from when the model is loaded: a batch on the engine, or a Redis
that is away, makes a worker neither less healthy nor less ready.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from prometheus_client import CollectorRegistry, make_wsgi_app

_OK, _UNAVAILABLE = "200 OK", "503 Service Unavailable"


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Handler(WSGIRequestHandler):
    timeout = 10.0

    def log_message(self, format: str, *args: object) -> None:
        """Probes come every few seconds."""


class PodServer:
    """`watch` is called once the worker has joined the queue: from then on it is ready."""

    def __init__(self, port: int, registry: CollectorRegistry) -> None:
        self._metrics: WSGIApplication = make_wsgi_app(registry)
        self._trouble: Callable[[], str] | None = None
        self._server = make_server("0.0.0.0", port, self._answer, _Server, _Handler)
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, name="pod_server", daemon=True).start()

    def watch(self, trouble: Callable[[], str]) -> None:
        """`trouble` says why the process does not move; empty while it does."""
        self._trouble = trouble

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _answer(self, environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        path = environ.get("PATH_INFO")
        if path not in ("/healthz", "/readyz"):
            return self._metrics(environ, start)
        reason = self._trouble() if self._trouble else ""
        if path == "/readyz" and self._trouble is None:
            reason = "not in the queue yet"
        start(_UNAVAILABLE if reason else _OK, [("Content-Type", "text/plain; charset=utf-8")])
        return [(reason or "ok").encode() + b"\n"]
