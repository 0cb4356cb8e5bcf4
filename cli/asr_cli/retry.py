"""When a request is sent again: pure, without a clock."""

from __future__ import annotations

BACKOFF_FIRST_SECONDS = 1.0
BACKOFF_MOST_SECONDS = 30.0
RETRY_AFTER_MOST_SECONDS = 120.0
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
