"""PATCH as an API server does it: by content type, on the subresource's own view of the object.

Sources: `handlers/patch.go` of k8s.io/apiserver, `deployment/storage.go` of Kubernetes 1.36, and
gopkg.in/evanphx/json-patch.v4, whose `test` finds a missing member equal to null.
"""

from __future__ import annotations

import copy
from typing import Any

from cluster_lab.objects import Json, Refused, merged

MERGE, JSON_PATCH = "application/merge-patch+json", "application/json-patch+json"


def patched(view: Json, content_type: str, patch: Any) -> Json:
    """A copy of the view with the patch applied. 400, 415, or 422 where a JSON patch fails."""
    kind = content_type.partition(";")[0].strip()
    if kind == MERGE:
        if not isinstance(patch, dict):
            raise Refused(400, "BadRequest", "Invalid JSON Patch")
        changed: Json = merged(view, patch)
        return changed
    if kind == JSON_PATCH:
        if not isinstance(patch, list):
            raise Refused(400, "BadRequest", "cannot unmarshal object into a JSON patch")
        return _json_patched(copy.deepcopy(view), patch)
    raise Refused(
        415, "UnsupportedMediaType",
        "the body of the request was in an unknown format - accepted media types include: "
        f"{JSON_PATCH}, {MERGE}",
    )  # fmt: skip


def scale_of(deployment: Json) -> Json:
    """The Scale of a Deployment. Replicas of 0 are left out, as Go's `omitempty` does."""
    meta = deployment["metadata"]
    kept = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    spec, status = deployment["spec"], deployment.get("status") or {}
    labels = spec["selector"].get("matchLabels") or {}
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {key: meta[key] for key in kept},
        "spec": {"replicas": spec["replicas"]} if spec.get("replicas", 1) else {},
        "status": {
            "replicas": status.get("replicas", 0),
            "selector": ",".join(f"{key}={value}" for key, value in sorted(labels.items())),
        },
    }


def replicas_of(scale: Json, name: str) -> int:
    """What a changed Scale asks for; 422 if it is no count."""
    replicas = (scale.get("spec") or {}).get("replicas", 0)
    if isinstance(replicas, bool) or not isinstance(replicas, int):
        raise Refused(400, "BadRequest", f"cannot unmarshal {replicas!r} into an int32")
    if replicas < 0:
        message = f'Scale.autoscaling "{name}" is invalid: spec.replicas: Invalid value: {replicas}'
        raise Refused(422, "Invalid", f"{message}: must be greater than or equal to 0")
    return replicas


def _json_patched(document: Json, operations: list[Json]) -> Json:
    for each in operations:
        place, key = _place(document, each["path"])
        match each["op"]:
            case "test":
                if place is None or place.get(key) != each.get("value"):
                    raise _failed()
            case "add" if place is not None:
                place[key] = each["value"]
            case "replace" if place is not None and key in place:
                place[key] = each["value"]
            case "remove" if place is not None and key in place:
                del place[key]
            case _:
                raise _failed()
    return document


def _place(document: Json, pointer: str) -> tuple[Json | None, str]:
    """The object that holds the member, and the member's name. Arrays are not supported."""
    parts = [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:]]
    place: Any = document
    for part in parts[:-1]:
        place = place.get(part) if isinstance(place, dict) else None
    return (place if isinstance(place, dict) else None), parts[-1]


def _failed() -> Refused:
    """The server does not say which operation failed."""
    message = "the server rejected our request due to an error in our request"
    return Refused(422, "Invalid", message)
