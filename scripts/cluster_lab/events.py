"""Events: one object, two APIs. The operator posts `events.k8s.io/v1`, kubectl lists core `v1`.

Sources: pkg/apis/core/validation/events.go and pkg/apis/events/v1/conversion.go of Kubernetes 1.36.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from cluster_lab.objects import Json, Refused

_LONGEST = {"reportingInstance": 128, "action": 128, "reason": 128, "note": 1024}
_CORE_NAMES = {
    "regarding": "involvedObject",
    "note": "message",
    "reportingController": "reportingComponent",
}


def check(event: Json) -> None:
    """Raises `Refused` (422) for what the server would not take."""
    wrong = []
    try:
        datetime.fromisoformat(event.get("eventTime") or "")
    except ValueError:
        wrong.append("eventTime: Required value")
    if "/" not in event.get("reportingController", ""):
        wrong.append("reportingController: Invalid value: must be a qualified name")
    for field, longest in _LONGEST.items():
        size = len(event.get(field, ""))
        if size > longest or (size == 0 and field != "note"):
            wrong.append(f"{field}: Invalid value: can have at most {longest} characters")
    if event.get("type") not in ("Normal", "Warning"):
        wrong.append(f"type: Invalid value: {event.get('type')!r}")
    if event.get("regarding", {}).get("namespace", "") != event["metadata"].get("namespace"):
        wrong.append("involvedObject.namespace: Invalid value: does not match event.namespace")
    if wrong:
        name = event["metadata"]["name"]
        raise Refused(422, "Invalid", f'Event "{name}" is invalid: {", ".join(wrong)}')


def as_core(event: Json) -> Json:
    """The same event in the core API."""
    core = {_CORE_NAMES.get(name, name): value for name, value in event.items()}
    return {
        **core, "apiVersion": "v1", "kind": "Event",
        "source": {}, "firstTimestamp": None, "lastTimestamp": None,
    }  # fmt: skip


def is_selected(event: Json, options: Mapping[str, str]) -> bool:
    """Whether a core event matches the request's `fieldSelector`."""
    for part in options.get("fieldSelector", "").split(","):
        path, _, wanted = part.partition("=")
        value: object = event
        for field in path.split(".") if path else ():
            value = value.get(field) if isinstance(value, dict) else None
        if path and value != wanted.removeprefix("="):
            return False
    return True
