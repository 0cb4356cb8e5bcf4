"""CORS: which other origins may use this API from a browser. Pure.

The Fetch standard's CORS protocol, https://fetch.spec.whatwg.org/#http-cors-protocol. Keys come in
`Authorization`, never in cookies, so credentials are never allowed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

METHODS = "GET, HEAD, POST, DELETE"
PREFLIGHT_MAX_AGE_SECONDS = 7200
# Response headers that pages may read beyond the CORS-safelisted ones.
EXPOSED = (
    "Accept-Ranges", "Content-Disposition", "Content-Length", "Content-Range", "ETag",
    "Idempotency-Replayed", "Location", "Retry-After", "WWW-Authenticate",
    "x-asr-model-notice", "x-asr-options-ignored",
    "x-ratelimit-limit-requests", "x-ratelimit-remaining-requests", "x-ratelimit-reset-requests",
    "x-request-id", "x-should-retry",
)  # fmt: skip

_FIELD_NAMES = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~, -]+")

RawHeaders = Iterable[tuple[bytes, bytes]]


@dataclass(frozen=True)
class CorsPolicy:
    """`origins` as browsers send them, or `*` for all; empty: same-origin only."""

    origins: tuple[str, ...] = ()

    def reply_headers(self, request_headers: RawHeaders) -> dict[str, str]:
        """CORS headers of every reply, errors included."""
        if not self.origins:
            return {}
        headers = {"Vary": "Origin"}
        origin = _value(request_headers, b"origin")
        if origin and self.allows(origin):
            headers["Access-Control-Allow-Origin"] = self._allow_origin(origin)
            headers["Access-Control-Expose-Headers"] = ", ".join(EXPOSED)
        return headers

    def is_preflight(self, method: str, request_headers: RawHeaders) -> bool:
        """Whether this is a CORS preflight that is to be answered; never if no origin
        is allowed.
        """
        return bool(
            self.origins
            and method == "OPTIONS"
            and _value(request_headers, b"origin")
            and _value(request_headers, b"access-control-request-method")
        )

    def preflight_headers(self, request_headers: RawHeaders) -> Mapping[str, str]:
        """Preflight headers beside `reply_headers`; empty if the origin is not allowed. Any request
        header is allowed: OpenAI's clients send a dozen of their own.
        """
        if not self.allows(_value(request_headers, b"origin")):
            return {}
        requested = _value(request_headers, b"access-control-request-headers")
        headers = {
            "Access-Control-Allow-Methods": METHODS,
            "Access-Control-Max-Age": str(PREFLIGHT_MAX_AGE_SECONDS),
            "Vary": "Origin, Access-Control-Request-Headers",
        }
        if _FIELD_NAMES.fullmatch(requested):
            headers["Access-Control-Allow-Headers"] = requested
        if _value(request_headers, b"access-control-request-private-network") == "true":
            headers["Access-Control-Allow-Private-Network"] = "true"
        return headers

    def allows(self, origin: str) -> bool:
        return "*" in self.origins or origin in self.origins

    def _allow_origin(self, origin: str) -> str:
        return "*" if "*" in self.origins else origin


def _value(headers: RawHeaders, name: bytes) -> str:
    found = (value for key, value in headers if key == name)
    return next(found, b"").decode("latin-1")
