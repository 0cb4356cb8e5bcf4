"""When a request of the client is sent again, by what came of it."""

from __future__ import annotations

import ssl

import httpx

from asr_cli.retry import retry_delay

# No request left, or the server is not whom the certificate names: the next try is the same.
_FINAL = (httpx.LocalProtocolError, httpx.UnsupportedProtocol, ssl.SSLCertVerificationError)


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
