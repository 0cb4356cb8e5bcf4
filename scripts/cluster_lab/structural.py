"""Structural schemas as the API server uses them: prune, fill in defaults, validate. Pure.

What it refuses and in which words is that of k8s.io/apiextensions-apiserver (pkg/apiserver/schema
and pkg/apiserver/validation, 1.36). Patterns are Go's, so RE2 reads them here as well.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import Any

import jsonschema
import re2

Json = dict[str, Any]
_INTEGERS = {"int32": 2**31, "int64": 2**63}
_TYPES = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array"}
_SENTENCES = {
    "pattern": "should match '{}'",
    "minimum": "should be greater than or equal to {}",
    "maximum": "should be less than or equal to {}",
    "minLength": "should be at least {} chars long",
    "maxItems": "should have at most {} items",
    "format": "must be of the format {}",
}


def nodes(value: Any, schema: Json, path: str = "") -> Iterator[tuple[str, Any, Json]]:
    """Every part of a value that the schema knows, with its path (`spec.scaling`)."""
    yield path, value, schema
    if isinstance(value, Mapping):
        for name, inner in (schema.get("properties") or {}).items():
            if name in value:
                yield from nodes(value[name], inner, f"{path}.{name}" if path else name)
    elif isinstance(value, list) and "items" in schema:
        for index, item in enumerate(value):
            yield from nodes(item, schema["items"], f"{path}[{index}]")


def pruned(value: Any, schema: Json) -> Any:
    """A copy without the fields that the schema does not name."""
    if isinstance(value, Mapping) and "properties" in schema:
        known = schema["properties"]
        return {name: pruned(each, known[name]) for name, each in value.items() if name in known}
    if isinstance(value, list) and "items" in schema:
        return [pruned(each, schema["items"]) for each in value]
    return copy.deepcopy(value)


def defaulted(value: Any, schema: Json) -> Any:
    """`value` itself, with the schema's defaults filled in, those of a default's own fields too."""
    if isinstance(value, dict):
        for name, inner in (schema.get("properties") or {}).items():
            if name not in value and "default" in inner:
                value[name] = copy.deepcopy(inner["default"])
            if name in value:
                value[name] = defaulted(value[name], inner)
    elif isinstance(value, list) and "items" in schema:
        for item in value:
            defaulted(item, schema["items"])
    return value


def violations(value: Any, schema: Json, path: str = "") -> Iterator[tuple[str, str]]:
    """Where and how a value breaks its schema; rules (CEL) are not checked."""
    for error in _Validator(schema).iter_errors(value):
        where = path
        for part in error.absolute_path:
            where += f"[{part}]" if isinstance(part, int) else f".{part}" if where else str(part)
        if error.validator == "required":
            field = error.message.split("'")[1]
            yield f"{where}.{field}" if where else field, "Required value"
        elif error.validator == "enum":
            allowed = ", ".join(f'"{each}"' for each in error.validator_value)
            yield where, f"Unsupported value: {shown(error.instance)}: supported values: {allowed}"
        elif error.validator == "maxLength":
            yield where, f"Too long: may not be more than {error.validator_value} bytes"
        elif error.validator == "type":
            found = shown(_type(error.instance))
            message = f"{where} in body must be of type {error.validator_value}: {found}"
            yield where, f"Invalid value: {found}: {message}"
        else:
            message = _SENTENCES[str(error.validator)].format(error.validator_value)
            if error.validator == "minimum" and error.schema.get("exclusiveMinimum"):
                message = f"should be greater than {error.validator_value}"
            yield where, f"Invalid value: {shown(error.instance)}: {where} in body {message}"


def shown(value: Any) -> str:
    """A value as an error of the server shows it: objects and lists by their type alone."""
    if isinstance(value, Mapping):
        return '"object"'
    if isinstance(value, list):
        return '"array"'
    return f'"{value}"' if isinstance(value, str) else str(value).lower()


def _type(value: Any) -> str:
    return "null" if value is None else _TYPES.get(type(value), "object")


def _pattern(_: Any, pattern: str, instance: Any, __: Json) -> Iterator[jsonschema.ValidationError]:
    if isinstance(instance, str) and not re2.search(pattern, instance):
        yield jsonschema.ValidationError(pattern)


def _format(_: Any, name: str, instance: Any, __: Json) -> Iterator[jsonschema.ValidationError]:
    bound = _INTEGERS.get(name)
    if bound and isinstance(instance, int) and not -bound <= instance < bound:
        yield jsonschema.ValidationError(name)


_Validator = jsonschema.validators.extend(
    jsonschema.Draft4Validator, {"pattern": _pattern, "format": _format}
)
