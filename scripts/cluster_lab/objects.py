"""What an API server does to objects: merge patches, selectors, owners."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

Json = dict[str, Any]


class Refused(Exception):
    """A reply that is not 2xx."""

    def __init__(self, status: int, reason: str, message: str, details: Json | None = None) -> None:
        super().__init__(message)
        self.status, self.reason, self.message = status, reason, message
        self.details = details or {}

    def body(self) -> Json:
        return {
            "apiVersion": "v1", "kind": "Status", "status": "Failure",
            "code": self.status, "reason": self.reason, "message": self.message,
            "details": self.details,
        }  # fmt: skip


def merged(value: Any, patch: Any) -> Any:
    """RFC 7386."""
    if not isinstance(patch, Mapping):
        return copy.deepcopy(patch)
    result = dict(value) if isinstance(value, Mapping) else {}
    for key, change in patch.items():
        if change is None:
            result.pop(key, None)
        else:
            result[key] = merged(result.get(key), change)
    return result


def matches(thing: Json, selector: str) -> bool:
    """An equality-based label selector."""
    labels = thing["metadata"].get("labels") or {}
    pairs = (part.partition("=") for part in selector.split(",") if part)
    return all(labels.get(key) == value for key, _, value in pairs)


def owned_by(thing: Json, uid: str) -> bool:
    owners = thing["metadata"].get("ownerReferences") or []
    return any(owner["uid"] == uid for owner in owners)
