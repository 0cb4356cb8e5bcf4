"""The OpenAPI document: FastAPI's, without its error model, with complete error examples."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from fastapi import FastAPI

from asr_api.access.documented import document_access
from asr_api.settings.api import ApiSettings

_FRAMEWORKS_ERROR = "#/components/schemas/HTTPValidationError"


def document_with(app: FastAPI, settings: ApiSettings) -> Callable[[], dict[str, Any]]:
    """A replacement for `app.openapi` that caches the document."""
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = _with_pools(_with_error_bodies(generate()), settings.pools)
            document_access(document, is_required=settings.auth == "keys")
            app.openapi_schema = document
        return app.openapi_schema

    return openapi


def _with_error_bodies(document: dict[str, Any]) -> dict[str, Any]:
    for operation in _operations(document):
        responses = operation["responses"]
        for status, response in list(responses.items()):
            content = response.get("content", {}).get("application/json", {})
            if content.get("schema", {}).get("$ref") == _FRAMEWORKS_ERROR:
                del responses[status]  # this route cannot fail validation
            elif int(status) >= 400:
                _complete_examples(content.get("examples", {}))
    for name in ("HTTPValidationError", "ValidationError"):
        document["components"]["schemas"].pop(name, None)
    return document


def _with_pools(document: dict[str, Any], pools: Sequence[str]) -> dict[str, Any]:
    """Set the configured pool names as the enum of every `pool` parameter."""
    for operation in _operations(document):
        parameters = (p for p in operation.get("parameters", ()) if p["name"] == "pool")
        bodies = operation.get("requestBody", {}).get("content", {}).values()
        schemas = [parameter["schema"] for parameter in parameters]
        schemas += [body.get("schema", {}).get("properties", {}).get("pool", {}) for body in bodies]
        for schema in schemas:
            for one in schema.get("anyOf", [schema]):
                if one.get("type") == "string":
                    one["enum"] = list(pools)
    return document


def _complete_examples(examples: dict[str, Any]) -> None:
    """FastAPI drops nulls from examples; our error body always has all four fields."""
    for example in examples.values():
        error = example["value"].get("error")
        if error is not None:
            example["value"]["error"] = {
                name: error.get(name) for name in ("message", "type", "param", "code")
            }


def _operations(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for methods in document["paths"].values():
        yield from methods.values()
