"""`/metrics`, `/healthz` and `/readyz` of this process, for Prometheus and the kubelet.

Served on separate threads once the model is loaded: neither a running batch nor an unavailable
Redis changes health or readiness.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from prometheus_client import CollectorRegistry, make_wsgi_app

from asr_core.process.listening import WsgiServer

_OK, _UNAVAILABLE = "200 OK", "503 Service Unavailable"


class PodServer:
    """Becomes ready with `watch`, which is called once the worker has joined the queue."""

    def __init__(self, host: str, port: int, registry: CollectorRegistry) -> None:
        self._metrics: WSGIApplication = make_wsgi_app(registry)
        self._trouble: Callable[[], str] | None = None
        self._server = WsgiServer(host, port, self._answer, name="pod_server")
        self.port = self._server.port

    def watch(self, trouble: Callable[[], str]) -> None:
        """`trouble` returns why the process is stuck; empty if it is not."""
        self._trouble = trouble

    def close(self) -> None:
        self._server.close()

    def _answer(self, environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        path = environ.get("PATH_INFO")
        if path not in ("/healthz", "/readyz"):
            return self._metrics(environ, start)
        reason = self._trouble() if self._trouble else ""
        if path == "/readyz" and self._trouble is None:
            reason = "not in the queue yet"
        start(_UNAVAILABLE if reason else _OK, [("Content-Type", "text/plain; charset=utf-8")])
        return [(reason or "ok").encode() + b"\n"]
