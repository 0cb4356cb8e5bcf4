"""What a reply of the server says: as a model, or as the error to raise. No I/O."""

from __future__ import annotations

from typing import Any, TypeVar

import httpx
from pydantic import BaseModel, TypeAdapter, ValidationError

from asr_platform.errors import (
    AccessDenied,
    NotFound,
    RateLimited,
    RequestFailed,
    ServerUnreachable,
    TaskNotCompleted,
)
from asr_platform.models import Task, Transcript

_Model = TypeVar("_Model", bound=BaseModel)
_ERRORS: dict[int, type[RequestFailed]] = {
    401: AccessDenied,
    403: AccessDenied,
    404: NotFound,
    410: NotFound,
    429: RateLimited,
}
_REQUEST_ID = "x-request-id"


def read(response: httpx.Response, model: type[_Model]) -> _Model:
    """The body as a model. Raises ServerUnreachable if it is no reply of this API."""
    return read_as(response, TypeAdapter(model))


def read_as(response: httpx.Response, adapter: TypeAdapter[_Model]) -> _Model:
    """The body as what the adapter validates. Raises ServerUnreachable if it is no such reply."""
    try:
        return adapter.validate_json(response.content)
    except ValidationError as error:
        problem = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(str(part) for part in problem["loc"])
        what = f"{place}: {problem['msg']}" if place else problem["msg"]
        raise ServerUnreachable(
            f"{_address(response)} did not answer as an asr-platform API does: {what}",
            status=response.status_code,
            request_id=response.headers.get(_REQUEST_ID),
        ) from None


def error_message(response: httpx.Response) -> str:
    """The message of an error reply, also one that a proxy sent without JSON."""
    message = _error(response).get("message")
    if not message:
        message = response.text.strip()[:200] or response.reason_phrase
    if response.is_redirect:
        location = response.headers.get("Location", "")
        message = f"redirected to {location}: give that address as the server's"
    return f"{message} (HTTP {response.status_code})"


def refusal(response: httpx.Response, *, after: str = "") -> RequestFailed:
    """The error to raise for a reply that is no success; `after` is appended to its message."""
    told = _error(response)
    error = _ERRORS.get(response.status_code, RequestFailed)(
        error_message(response) + after,
        status=response.status_code,
        code=told.get("code"),
        request_id=response.headers.get(_REQUEST_ID),
    )
    error.param = told.get("param")
    return error


def completed(task: Task) -> Task:
    """The task, unless it ended without a transcript: then TaskNotCompleted is raised."""
    if task.status == "completed":
        return task
    reason = task.error.message if task.error else task.status
    code = task.error.code if task.error else task.status
    error = TaskNotCompleted(f"{task.status}: {reason}", code=code)
    error.task = task
    raise error


def transcript_of(task: Task) -> Transcript:
    """Of a task that is completed. Raises TaskNotCompleted for any other, also for an open one."""
    result = completed(task).result
    if result is None:
        raise ServerUnreachable(f"the server sent no transcript of task {task.task_id}")
    return result.model_copy(update={"task_id": task.task_id})


def _error(response: httpx.Response) -> dict[str, Any]:
    try:
        error = response.json()["error"]
    except (ValueError, KeyError, TypeError):
        return {}
    return error if isinstance(error, dict) else {}


def _address(response: httpx.Response) -> str:
    url = response.request.url
    return f"{url.scheme}://{url.netloc.decode().rpartition('@')[2]}{url.path}"
