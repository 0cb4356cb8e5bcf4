"""What the client raises. Everything hangs in one tree:

ClientError
├── InvalidArgument      a value that no request can carry; also a ValueError
│   └── WrongAddress     the server's address is not one
├── ServerUnreachable    nothing answers there, or something other than this API
├── RequestFailed        the server answered with an error
│   ├── AccessDenied     401, 403: no key, an unknown one, or one without the scope
│   ├── NotFound         404, 410: no such task, or its recording or result has been deleted
│   └── RateLimited      429: the queue is full, or a limit of the tenant is reached
├── TaskNotCompleted     the task ended as failed or cancelled
├── WaitTimeout          the task has not ended in the time given; also a TimeoutError
└── WebhookRejected      a call that is not signed with the secret, or is too old
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from asr_platform.models import Task


class ClientError(Exception):
    """Base of everything that this client raises on purpose; the message fits on one line.

    `status` is that of the HTTP reply and `request_id` its `X-Request-Id`, with which the
    server's log is searched; both are None where there was no reply. `code` is the API's stable
    word for the error (docs/openapi.json), None where a proxy answered, or nobody. `tries` is how
    often the request was sent.
    """

    tries: int = 1

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        code: str | None = None,
        request_id: str | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.request_id = request_id


class InvalidArgument(ClientError, ValueError):
    """An argument that no request can carry; nothing was sent."""


class WrongAddress(InvalidArgument):
    """The server's address is not one; the message says what to write."""


class ServerUnreachable(ClientError):
    """Nothing answers at the server's address, or something other than this API."""


class RequestFailed(ClientError):
    """The server answered with an error; `status`, `code` and `request_id` are those of its reply.

    `param` is the field, header or parameter that was wrong, where the server names one.
    """

    param: str | None = None


class AccessDenied(RequestFailed):
    """401 or 403: there is no API key, it is unknown, or it lacks the scope."""


class NotFound(RequestFailed):
    """404 or 410: there is no such task, or its recording or its result has been deleted."""


class RateLimited(RequestFailed):
    """429, still after all retries: the queue is full, or a limit of the tenant is reached."""


class TaskNotCompleted(ClientError):
    """The task ended without a transcript. `code` is that of its error, or its state; `task` is
    the task as the server last described it.
    """

    task: Task | None = None


class WaitTimeout(ClientError, TimeoutError):
    """The task has not ended in the time given. It goes on: `task_id` is there to wait again; it is
    empty where the recording was still being uploaded.
    """

    task_id: str = ""


class WebhookRejected(ClientError):
    """The call is not signed with this secret, or too old, or no webhook: answer it with 400."""
