"""Keys in the OpenAPI document: which routes ask for one, and what they answer without."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from asr_api.access.rules import scope_for
from asr_api.error_reply import error_body
from asr_core.access import Scope
from asr_core.errors import (
    AsrError,
    Forbidden,
    QueueUnavailable,
    QuotaExceeded,
    RateLimited,
    TooManyOpenTasks,
    Unauthenticated,
)

SCHEME = "apiKey"
_TEXTS: dict[int, str] = {
    401: "No API key, or one that is not known",
    403: "The key's scopes do not reach so far",
    429: "Too much at once, or in all; `Retry-After` says when to try again",
    503: "Redis cannot say whose key this is; `Retry-After` says when to try again",
}
_EXAMPLES: tuple[tuple[type[AsrError], str], ...] = (
    (Unauthenticated, "this needs an API key: send `Authorization: Bearer asr_…`"),
    (Forbidden, "this key lacks the scope 'write'; it has: read, transcribe"),
    (RateLimited, "more than 600 requests a minute; slow down"),
    (QueueUnavailable, "Redis is not available."),
)
_OF_SUBMITS: tuple[tuple[type[AsrError], str], ...] = (
    (TooManyOpenTasks, "you have 50 open tasks and may have 50: wait for one to end"),
    (QuotaExceeded, "your recordings take 1000 bytes and may take 1000: delete tasks"),
)
_BUSY_ROUTES = ("/api/v1/asr/retry/{task_id}",)


def document_access(document: dict[str, Any], *, is_required: bool) -> None:
    """Add the scheme, and to each route that asks for a key its replies.

    Where keys are off, `is_required` False, one may be sent and is not looked at.
    """
    schemes = document.setdefault("components", {}).setdefault("securitySchemes", {})
    schemes[SCHEME] = {
        "type": "http",
        "scheme": "bearer",
        "description": "An API key, made by `asr keys create`. Not asked for while `ASR_AUTH=off`.",
    }
    for path, method, operation in _operations(document):
        scope = scope_for(method.upper(), path)
        if scope is None:
            continue
        operation["security"] = [{SCHEME: []}] if is_required else [{}, {SCHEME: []}]
        operation["x-required-scope"] = scope.value
        submits = scope is Scope.TRANSCRIBE or path in _BUSY_ROUTES
        for error, message in _EXAMPLES + (_OF_SUBMITS if submits else ()):
            _add(operation["responses"], error, message)


def _add(responses: dict[str, Any], error: type[AsrError], message: str) -> None:
    body = error_body(error.status, message, code=error.code)
    response = responses.setdefault(str(error.status), {"description": _TEXTS[error.status]})
    content = response.setdefault("content", {}).setdefault("application/json", {})
    content.setdefault("schema", {"$ref": "#/components/schemas/ErrorBody"})
    content.setdefault("examples", {}).setdefault(error.code, {"value": body})


def _operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation
