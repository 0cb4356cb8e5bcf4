"""What the client raises.

ClientError
├── WrongAddress         the server's address cannot be one
├── ServerUnreachable    nothing, or something else, answers there
└── TaskNotCompleted     the task was accepted and did not end with a transcript
"""

from __future__ import annotations

import httpx


class ClientError(Exception):
    """The server's answer, or its absence, in one line.

    `status` is that of the HTTP reply, None without one; `code` is the API's word for the error
    (docs/openapi.json), None where a proxy answered or nobody.
    """

    def __init__(self, message: str, *, status: int | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


class WrongAddress(ClientError, ValueError):
    """The server's address cannot be one; the message says what to write."""


class ServerUnreachable(ClientError):
    """Nothing answers at the server's address, or something else than this API."""


class TaskNotCompleted(ClientError):
    """The task was accepted and did not end with a transcript. `code` is that of its error."""


def error_message(response: httpx.Response) -> str:
    """The message of an error reply, whoever sent it (a proxy sends no JSON)."""
    try:
        message = response.json()["error"]["message"]
    except (ValueError, KeyError, TypeError):
        message = response.text.strip()[:200] or response.reason_phrase
    if response.is_redirect:
        message = f"sent on to {response.headers['Location']}: give that address as the server's"
    return f"{message} (HTTP {response.status_code})"


def refusal(response: httpx.Response, *, after: str = "") -> ClientError:
    """The error of a reply that is no success."""
    try:
        code = response.json()["error"]["code"]
    except (ValueError, KeyError, TypeError):
        code = None
    return ClientError(error_message(response) + after, status=response.status_code, code=code)
