"""Cross-origin requests: which pages of other origins may use this API from a browser. Pure.

The Fetch standard's CORS protocol, https://fetch.spec.whatwg.org/#http-cors-protocol. Keys come in
`Authorization`, never in cookies, so credentials are not allowed to anybody.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

METHODS = "GET, HEAD, POST, DELETE"
PREFLIGHT_MAX_AGE_SECONDS = 7200
# What a page may read beside the headers that every page may.
EXPOSED = (
    "Accept-Ranges", "Content-Disposition", "Content-Length", "Content-Range", "ETag",
    "Idempotency-Replayed", "Location", "Retry-After", "WWW-Authenticate", "x-asr-options-ignored",
    "x-ratelimit-limit-requests", "x-ratelimit-remaining-requests", "x-ratelimit-reset-requests",
    "x-request-id", "x-should-retry",
)  # fmt: skip

_FIELD_NAMES = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~, -]+")

RawHeaders = Iterable[tuple[bytes, bytes]]


@dataclass(frozen=True)
class CorsPolicy:
    """`origins`: as browsers write them, or `*` for all; none: no page of another origin."""

    origins: tuple[str, ...] = ()

    def reply_headers(self, request_headers: RawHeaders) -> dict[str, str]:
        """What every reply to such a request carries, errors too."""
        if not self.origins:
            return {}
        headers = {"Vary": "Origin"}
        origin = _value(request_headers, b"origin")
        if origin and self.allows(origin):
            headers["Access-Control-Allow-Origin"] = self._told(origin)
            headers["Access-Control-Expose-Headers"] = ", ".join(EXPOSED)
        return headers

    def is_preflight(self, method: str, request_headers: RawHeaders) -> bool:
        """Whether a browser asks if it may ask. Where no origin is allowed nobody is answered."""
        return bool(
            self.origins
            and method == "OPTIONS"
            and _value(request_headers, b"origin")
            and _value(request_headers, b"access-control-request-method")
        )

    def preflight_headers(self, request_headers: RawHeaders) -> Mapping[str, str]:
        """The answer to a preflight beside `reply_headers`; empty for an origin that may not. Any
        header may be sent: OpenAI's clients send a dozen of their own.
        """
        if not self.allows(_value(request_headers, b"origin")):
            return {}
        asked = _value(request_headers, b"access-control-request-headers")
        headers = {
            "Access-Control-Allow-Methods": METHODS,
            "Access-Control-Max-Age": str(PREFLIGHT_MAX_AGE_SECONDS),
            "Vary": "Origin, Access-Control-Request-Headers",
        }
        if _FIELD_NAMES.fullmatch(asked):
            headers["Access-Control-Allow-Headers"] = asked
        if _value(request_headers, b"access-control-request-private-network") == "true":
            headers["Access-Control-Allow-Private-Network"] = "true"
        return headers

    def allows(self, origin: str) -> bool:
        return "*" in self.origins or origin in self.origins

    def _told(self, origin: str) -> str:
        return "*" if "*" in self.origins else origin


def _value(headers: RawHeaders, name: bytes) -> str:
    found = (value for key, value in headers if key == name)
    return next(found, b"").decode("latin-1")
