"""The one place where an error becomes an HTTP reply: `{"error": {"message", "type", "param",
"code"}}`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response
from starlette.routing import Match

from asr_api.errors import EncodedBody, UnsupportedMediaType
from asr_api.http.head import is_head
from asr_core.errors import (
    AsrError,
    DependencyError,
    InvalidOption,
    QuotaExceeded,
    RangeNotSatisfiable,
    Unauthenticated,
    UnsupportedAudio,
)
from asr_core.process.logs import get_logger
from asr_core.text_limits import shortened

# Errors that OpenAI answers with 400, and the native routes with a status of their own.
OPENAI_BAD_REQUESTS = (InvalidOption, UnsupportedAudio, UnsupportedMediaType)
PATH_SHOWN_CHARACTERS = 256

_TYPES: Mapping[int, str] = {
    429: "rate_limit_error",
    503: "dependency_error",
    507: "dependency_error",
}
_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
_HTTP_CODES: Mapping[int, str] = {
    400: "bad_request",
    404: "not_found",
    405: "method_not_allowed",
    413: "upload_too_large",
    422: "invalid_option",
}


def error_type(status: int) -> str:
    """The coarse class of an error."""
    return _TYPES.get(status, "server_error" if status >= 500 else "invalid_request_error")


def error_body(
    status: int, message: str, *, code: str, param: str | None = None
) -> dict[str, dict[str, str | None]]:
    """The body of every error this API sends."""
    return {"error": {"message": message, "type": error_type(status), "param": param, "code": code}}


def reply_to(error: AsrError) -> JSONResponse:
    """An `AsrError` on the wire: its code and status, and `Retry-After` where it helps."""
    return _reply(error, error.status, error.param)


def openai_reply_to(error: AsrError) -> JSONResponse:
    """The same in OpenAI's contract, whose parameter for the recording is `file`."""
    status = 400 if isinstance(error, OPENAI_BAD_REQUESTS) else error.status
    return _reply(error, status, "file" if error.param == "audio" else error.param)


def _reply(error: AsrError, status: int, param: str | None) -> JSONResponse:
    body = error_body(status, error.message, code=error.code, param=param)
    return JSONResponse(body, status_code=status, headers=_headers(error, status))


def _headers(error: AsrError, status: int) -> dict[str, str]:
    headers: dict[str, str] = {}
    match error:
        case Unauthenticated():
            headers["WWW-Authenticate"] = 'Bearer realm="asr"'
        case EncodedBody():
            headers["Accept-Encoding"] = "identity"  # RFC 7694
        case RangeNotSatisfiable():
            headers["Content-Range"] = f"bytes */{error.size}"
        case QuotaExceeded():
            headers["x-should-retry"] = "false"  # OpenAI's clients and `asr` then give up at once
    if error.retry_after_seconds is not None:
        headers["Retry-After"] = str(max(1, error.retry_after_seconds))
    elif status == 409 or status >= 500:
        headers["x-should-retry"] = "false"  # OpenAI's clients would, by themselves
    return headers


def internal_error_reply() -> JSONResponse:
    """The reply to an unexpected error: no detail."""
    message = (
        "An internal error occurred; the request id in x-request-id finds it in the server's log."
    )
    return JSONResponse(error_body(500, message, code="internal_error"), status_code=500)


def validation_reply(problems: Sequence[Mapping[str, Any]]) -> JSONResponse:
    """Invalid parameters as a 422; `param` names the first."""
    problems_in_words = [f"{_param(p) or 'request'}: {_in_words(p)}" for p in problems]
    message = "; ".join(problems_in_words) or "The request is not valid."
    param = _param(problems[0]) if problems else None
    return JSONResponse(
        error_body(422, message, code="invalid_option", param=param), status_code=422
    )


def _in_words(problem: Mapping[str, Any]) -> str:
    """Pydantic's message, except for patterns: a regular expression does not help a caller."""
    if problem.get("type") == "string_pattern_mismatch":
        return f"{shortened(str(problem.get('input')))} is not of the form that this takes"
    return str(problem.get("msg", "is not valid"))


def _param(problem: Mapping[str, Any]) -> str | None:
    place = [str(part) for part in problem.get("loc", ())[1:]]
    return ".".join(place) or None


async def _on_asr_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, AsrError)
    if isinstance(error, DependencyError):
        get_logger("asr_api.request").warning(
            "dependency_unavailable", code=error.code, reason=error.message
        )
    return reply_to(error)


async def _on_http_exception(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    status = error.status_code
    code = _HTTP_CODES.get(status) or HTTPStatus(status).name.lower()
    method = "HEAD" if is_head(request) else request.method
    path = request.url.path
    path = path if len(path) <= PATH_SHOWN_CHARACTERS else f"{path[:PATH_SHOWN_CHARACTERS]}…"
    messages = {
        404: f"There is nothing at {path}.",
        405: f"{method} is not allowed on {path}.",
    }
    message = messages.get(status, str(error.detail))
    headers = {"Allow": _allowed(request)} if status == 405 else error.headers
    return JSONResponse(error_body(status, message, code=code), status_code=status, headers=headers)


def _allowed(request: Request) -> str:
    """The methods of all routes at a path; the router knows only the first route's."""
    routes = request.app.router.routes
    scopes = {method: {**request.scope, "method": method} for method in _METHODS}
    allowed = [
        method
        for method, scope in scopes.items()
        if any(route.matches(scope)[0] is Match.FULL for route in routes)
    ]
    return ", ".join("GET, HEAD" if method == "GET" else method for method in allowed)


async def _on_validation_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    return validation_reply(error.errors())


def register_error_replies(app: FastAPI) -> None:
    """Register the handlers. `RequestContext` answers whatever they do not cover."""
    app.add_exception_handler(AsrError, _on_asr_error)
    app.add_exception_handler(HTTPException, _on_http_exception)
    app.add_exception_handler(RequestValidationError, _on_validation_error)
