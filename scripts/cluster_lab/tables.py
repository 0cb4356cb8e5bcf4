"""Lists as tables, as an API server renders them for `kubectl get`, from the printer columns.

Source: pkg/registry/customresource/tableconvertor of k8s.io/apiextensions-apiserver, 1.36.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

from cluster_lab.objects import Json

_STEP = re.compile(r'\.(\w+)|\[\?\(@\.(\w+)=="([^"]*)"\)\]')


def is_asked_for(accept: str) -> bool:
    """Whether a request would rather have a table than objects."""
    return "as=Table" in accept


def table(columns: Iterable[Json], things: Iterable[Json], version: str) -> Json:
    """A `meta.k8s.io/v1` Table of custom resources."""
    columns = list(columns)
    name = {"name": "Name", "type": "string", "format": "name", "description": "", "priority": 0}
    heads = [
        {
            "name": each["name"],
            "type": each["type"],
            "format": "",
            "description": each.get("description", ""),
            "priority": each.get("priority", 0),
        }
        for each in columns
    ]
    return {
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": {"resourceVersion": version},
        "columnDefinitions": [name, *heads],
        "rows": [_row(columns, thing) for thing in things],
    }


def _row(columns: list[Json], thing: Json) -> Json:
    cells = [thing["metadata"]["name"], *(_cell(each, thing) for each in columns)]
    partial = {
        "kind": "PartialObjectMetadata",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": thing["metadata"],
    }
    return {"cells": cells, "object": partial}


def _cell(column: Json, thing: Json) -> Any:
    """None, which is printed as nothing, where there is no value or one of another type."""
    value = next(_found(column["jsonPath"], thing), None)
    match column["type"], value:
        case "string", str():
            return value
        case "integer", int() if not isinstance(value, bool):
            return value
        case "number", int() | float() if not isinstance(value, bool):
            return value
        case "date", str():
            return human_duration(
                (datetime.now(UTC) - datetime.fromisoformat(value)).total_seconds()
            )
    return None


def _found(path: str, value: Any) -> Iterator[Any]:
    found = [value]
    for field, key, wanted in _STEP.findall(path):
        if field:
            found = [each[field] for each in found if isinstance(each, dict) and field in each]
        else:
            found = [item for each in found for item in each if item.get(key) == wanted]
    yield from found


def human_duration(seconds: float) -> str:
    """As apimachinery's `duration.HumanDuration`, up to ten minutes; then in whole minutes."""
    whole = int(seconds)
    if whole < 120:
        return f"{max(whole, 0)}s"
    minutes, rest = divmod(whole, 60)
    return f"{minutes}m{rest}s" if minutes < 10 and rest else f"{minutes}m"
