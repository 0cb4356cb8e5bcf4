"""When a request is sent again: pure, without a clock."""

from __future__ import annotations

import ssl

import httpx

BACKOFF_FIRST_SECONDS = 1.0
BACKOFF_MOST_SECONDS = 30.0
RETRY_AFTER_MOST_SECONDS = 120.0
# No request left, or the server is not whom the certificate names: the next try is the same.
_FINAL = (httpx.LocalProtocolError, httpx.UnsupportedProtocol, ssl.SSLCertVerificationError)
RETRIED_STATUSES = frozenset({429, 502, 503, 504, 507})


def retry_delay(attempt: int, status: int | None, retry_after: str | None = None) -> float | None:
    """Seconds until try `attempt + 1`, or None for an answer that trying again does not change.

    `status` is None when no answer came at all. A `Retry-After` in seconds is obeyed; its form as
    a date is not sent by this API and falls back to the backoff.
    """
    if status is not None and status not in RETRIED_STATUSES:
        return None
    if retry_after and retry_after.strip().isdecimal():
        return min(float(retry_after), RETRY_AFTER_MOST_SECONDS)
    return float(min(BACKOFF_FIRST_SECONDS * 2 ** min(attempt - 1, 10), BACKOFF_MOST_SECONDS))


def delay_after(
    attempt: int, response: httpx.Response | None, problem: httpx.TransportError | None
) -> float | None:
    """Seconds until the next try; None where that changes nothing."""
    if response is not None:
        if response.headers.get("x-should-retry") == "false":
            return None
        return retry_delay(attempt, response.status_code, response.headers.get("Retry-After"))
    cause: BaseException | None = problem
    while cause is not None:
        if isinstance(cause, _FINAL):
            return None
        cause = cause.__cause__ or cause.__context__
    return retry_delay(attempt, None)
