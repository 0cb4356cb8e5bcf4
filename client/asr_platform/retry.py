"""When a request is sent again. Pure: without a clock and without chance."""

from __future__ import annotations

import ssl

import httpx

BACKOFF_FIRST_SECONDS = 1.0
BACKOFF_MOST_SECONDS = 30.0
RETRY_AFTER_MOST_SECONDS = 120.0
RETRIED_STATUSES = frozenset({429, 502, 503, 504, 507})

# Nothing was sent, or the server is not the one that its certificate names: the next try would end
# the same way.
_FINAL = (httpx.LocalProtocolError, httpx.UnsupportedProtocol, ssl.SSLCertVerificationError)


def retry_delay(attempt: int, status: int | None, retry_after: str | None = None) -> float | None:
    """Seconds until try `attempt + 1`, or None for an answer that trying again does not change.

    `status` is None when there was no answer at all. A `Retry-After` in seconds is obeyed; its form
    as a date is not sent by this API and falls back to the backoff.
    """
    if status is not None and status not in RETRIED_STATUSES:
        return None
    if retry_after and retry_after.strip().isdecimal():
        return min(float(retry_after), RETRY_AFTER_MOST_SECONDS)
    return float(min(BACKOFF_FIRST_SECONDS * 2 ** min(attempt - 1, 10), BACKOFF_MOST_SECONDS))


def delay_after(attempt: int, outcome: httpx.Response | httpx.RequestError) -> float | None:
    """Seconds until the next try after this outcome of try `attempt`; None if it is final."""
    if isinstance(outcome, httpx.Response):
        if outcome.headers.get("x-should-retry") == "false":
            return None
        return retry_delay(attempt, outcome.status_code, outcome.headers.get("Retry-After"))
    cause: BaseException | None = outcome
    while cause is not None:
        if isinstance(cause, _FINAL):
            return None
        cause = cause.__cause__ or cause.__context__
    return retry_delay(attempt, None)
