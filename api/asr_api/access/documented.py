"""Adds authentication to the OpenAPI document: security schemes, required scopes and the error
replies of each route, with keys on or off.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from asr_api.access.keyless import OPEN_PATHS, SAFE_METHODS
from asr_api.access.rules import OPERATORS_SEE_MORE, scope_for
from asr_api.errors import CrossSiteRequest, HostNotAllowed, MalformedHost
from asr_api.http.error_reply import error_body
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
    400: "The request does not say which host it is for",
    401: "No API key, or one that is not known",
    403: "The key's scopes do not reach so far, or without keys: a page of another origin asks",
    421: "Without keys: not the name of this server, nor an address",
    429: "Too much at once, or in all; `Retry-After` says when to try again",
    503: "Redis cannot say whose key this is; `Retry-After` says when to try again",
}
_EXAMPLES: tuple[tuple[type[AsrError], str], ...] = (
    (Unauthenticated, "this request needs an API key: send `Authorization: Bearer asr_…`"),
    (Forbidden, "this key lacks the scope 'write'; it has: read, transcribe"),
    (RateLimited, "more than 600 requests a minute; slow down"),
    (QueueUnavailable, "Redis is not available."),
)
_OF_SUBMITS: tuple[tuple[type[AsrError], str], ...] = (
    (TooManyOpenTasks, "you have 50 open tasks and may have 50: wait for one to end"),
    (QuotaExceeded, "your recordings take 1000 bytes and may take 1000: delete tasks"),
)
# Where keys are off.
_OF_HOSTS: tuple[tuple[type[AsrError], str], ...] = (
    (MalformedHost, "'a b' is not a host."),
    (
        HostNotAllowed,
        "Without API keys this server answers to IP addresses, localhost and the names in "
        "ASR_ALLOWED_HOSTS.",
    ),
)
_OF_CHANGES = (CrossSiteRequest, "Without API keys a page of another origin may not change this.")
_BUSY_ROUTES = ("/api/v1/asr/retry/{task_id}",)


def document_access(document: dict[str, Any], *, is_required: bool) -> None:
    """Add the security scheme, and to each protected route its error replies.

    With keys off (`is_required` False) a key is optional and ignored.
    """
    schemes = document.setdefault("components", {}).setdefault("securitySchemes", {})
    schemes[SCHEME] = {
        "type": "http",
        "scheme": "bearer",
        "description": "An API key, made by `asr keys create`. Not asked for while `ASR_AUTH=off`.",
    }
    for path, method, operation in _operations(document):
        if not is_required:
            _document_keyless(path, method, operation["responses"])
        scope = scope_for(method.upper(), path)
        if path in OPERATORS_SEE_MORE:
            operation["security"] = [{}, {SCHEME: []}]
        if scope is None:
            continue
        operation["security"] = [{SCHEME: []}] if is_required else [{}, {SCHEME: []}]
        operation["x-required-scope"] = scope.value
        submits = scope is Scope.TRANSCRIBE or path in _BUSY_ROUTES
        for error, message in _EXAMPLES + (_OF_SUBMITS if submits else ()):
            _add(operation["responses"], error, message)


def _document_keyless(path: str, method: str, responses: dict[str, Any]) -> None:
    if path in OPEN_PATHS:
        return
    changes = () if method.upper() in SAFE_METHODS else (_OF_CHANGES,)
    for error, message in (*_OF_HOSTS, *changes):
        _add(responses, error, message)


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
