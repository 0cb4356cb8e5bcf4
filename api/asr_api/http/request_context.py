"""Middleware around every reply: request ids in headers and logs, metrics, security and CORS
headers, and the handler of unexpected errors.
"""

from __future__ import annotations

import re
import time

import uuid_utils
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.contextvars import bound_contextvars

from asr_api.errors import OriginNotAllowed
from asr_api.http.cors import CorsPolicy
from asr_api.http.error_reply import internal_error_reply, reply_to
from asr_api.http.reply_headers import safe_headers
from asr_api.monitoring.metrics import ApiMetrics
from asr_core.process.logs import get_logger

_SANE_ID = re.compile(r"^[A-Za-z0-9._-]{1,128}$")
_METHODS = {"GET", "HEAD", "POST", "DELETE", "OPTIONS", "PUT", "PATCH"}
_UNLOGGED_ROUTES = {"/healthz", "/readyz", "/metrics"}
UNMATCHED = "unmatched"


class RequestContext:
    """ASGI middleware; see the module's docstring."""

    def __init__(self, app: ASGIApp, metrics: ApiMetrics, cors: CorsPolicy) -> None:
        self._app = app
        self._metrics = metrics
        self._cors = cors
        self._safe_headers = safe_headers(shared=bool(cors.origins))
        self._log = get_logger("asr_api.request")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = request_id_of(scope)
        scope["asr.headers"] = self._cors.reply_headers(scope["headers"])
        status = 0

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                for name, value in self._safe_headers.items():
                    headers.setdefault(name, value)
                headers["x-request-id"] = request_id
                headers.update(scope["asr.headers"])
            await send(message)

        began = time.monotonic()
        with bound_contextvars(request_id=request_id):
            try:
                if self._cors.is_preflight(scope["method"], scope["headers"]):
                    await self._preflight(scope)(scope, receive, send_with_id)
                else:
                    await self._app(scope, receive, send_with_id)
            except Exception:
                self._log.exception("request_failed", method=scope["method"], route=route_of(scope))
                if status:
                    raise
                await internal_error_reply()(scope, receive, send_with_id)
            finally:
                self._count(scope, status or 499, time.monotonic() - began)

    def _preflight(self, scope: Scope) -> Response:
        """Answered before authentication: browsers send no key with a preflight."""
        headers = self._cors.preflight_headers(scope["headers"])
        if headers:
            scope["asr.headers"].update(headers)
            return Response(status_code=204)
        message = "This origin may not use this API from a browser; ASR_CORS_ORIGINS names who may."
        return reply_to(OriginNotAllowed(message, param="origin"))

    def _count(self, scope: Scope, status: int, seconds: float) -> None:
        method = scope["method"] if scope["method"] in _METHODS else "other"
        route = route_of(scope)
        self._metrics.http_requests.labels(method=method, route=route, status=str(status)).inc()
        self._metrics.http_request_duration_seconds.labels(method=method, route=route).observe(
            seconds
        )
        if route not in _UNLOGGED_ROUTES:
            self._log.info(
                "request", method=method, route=route, status=status, seconds=round(seconds, 4)
            )


def request_id_of(scope: Scope) -> str:
    """The client's id if it is safe in a header and a log, else a new one."""
    given = Headers(scope=scope).get("x-request-id", "")
    return given if _SANE_ID.match(given) else str(uuid_utils.uuid7())


def route_of(scope: Scope) -> str:
    """The route's template, never the path: paths hold task ids."""
    return getattr(scope.get("route"), "path", None) or UNMATCHED
