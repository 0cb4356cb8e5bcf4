"""The patch of a WorkerPool's status, and the events for its changes. Pure.

The status is written when it changes; if only numbers change, at most every ten seconds. Otherwise
every pool under load would cause a write to etcd on each tick.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from asr_operator.cluster.event import Event
from asr_operator.planning.plan import Condition

NUMBERS_SECONDS = 10.0
# Each condition type with its healthy value.
CONDITIONS = {
    "Ready": "True",
    "SignalAvailable": "True",
    "ScalingActive": "True",
    "ScalingLimited": "False",
    "TargetUnreachable": "False",
    "CapacityUnavailable": "False",
    "Conflict": "False",
    "PoolMismatch": "False",
    "Paused": "False",
    "FieldIgnored": "False",
}
# Ready and ScalingActive summarize other conditions, which post the event for these reasons.
_POSTED_BY = {
    "HoldSignal": ("SignalAvailable",),
    "Fallback": ("SignalAvailable",),
    "HoldCapacity": ("CapacityUnavailable",),
    "GiveUpUnschedulable": ("CapacityUnavailable",),
    "HoldConflict": ("Conflict", "PoolMismatch"),
}
# Not warnings: requested by the user, or transient on every fresh install.
_NORMAL = {"Paused", "DryRun", "HoldUntrusted"}
_NUMBERS = {
    "desiredReplicas",
    "waiting",
    "inFlight",
    "oldestWaitSeconds",
    "backlogAudioSeconds",
    "throughput",
    "startupSeconds",
    "measurements",
}
_COUNTS = ("desiredReplicas", "waiting", "inFlight")
_OPPOSITE = {"True": "False", "False": "True"}
_STATUS = {True: "True", False: "False", None: "Unknown"}

Status = Mapping[str, Any]


def timestamp(now: float) -> str:
    """Unix seconds as Kubernetes writes a Time."""
    return datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def conditions(
    old: Status, new: Iterable[Condition], *, generation: int, now: float
) -> list[dict[str, Any]]:
    """Every type once, in a fixed order; types that `new` does not contain stay unchanged.

    `lastTransitionTime` changes only with the status of a condition.
    """
    before = {each["type"]: each for each in old.get("conditions") or []}
    current = {each.type: each for each in new}
    listed = []
    for name in CONDITIONS:
        was, condition = before.get(name), current.get(name)
        if condition is None:
            if was is not None:
                listed.append(was)
            continue
        status = _STATUS[condition.status]
        since = was["lastTransitionTime"] if was and was["status"] == status else timestamp(now)
        listed.append(
            {
                "type": name,
                "status": status,
                "observedGeneration": generation,
                "lastTransitionTime": since,
                "reason": condition.reason,
                "message": condition.message[:1024],
            }
        )
    return listed


def changes(old: Status, new: Status) -> dict[str, Any]:
    """The merge patch from `old` to `new`; empty if nothing changed."""
    return {name: value for name, value in new.items() if old.get(name) != value}


def is_pressing(old: Status, changed: Mapping[str, Any]) -> bool:
    """Whether more has changed than numbers, in fields or in messages."""
    if any(name not in _NUMBERS and name != "conditions" for name in changed):
        return True
    if any((old.get(name) or 0) == 0 or not changed[name] for name in changed if name in _COUNTS):
        return True
    if "conditions" not in changed:
        return False
    return _outcomes(old.get("conditions") or []) != _outcomes(changed["conditions"])


def events(old: Status, new: Sequence[Mapping[str, Any]]) -> list[Event]:
    """One event for each cause that appeared or was resolved. A first status reports problems only.

    A cause is the reason of an unhealthy condition: a new reason in the same condition is a new
    cause.
    """
    before = {each["type"]: each for each in old.get("conditions") or []}
    now = {each["type"]: each for each in new}
    found = []
    for name, each in now.items():
        cause, last_cause = _cause(each, now), _cause(before.get(name), before)
        if cause == last_cause:
            continue
        if cause or each["status"] == CONDITIONS[name]:
            warning = bool(cause) and cause not in _NORMAL
            found.append(Event(each["reason"], each["message"], name, warning))
    return found


def _cause(condition: Status | None, listed: Mapping[str, Status]) -> str:
    """The reason of an unhealthy condition, unless another condition posts the same cause.

    ScalingLimited posts none: reaching maxReplicas under load is normal. ScalingActive posts only
    what Ready does not cover.
    """
    if condition is None or not _is_unhealthy(condition) or condition["type"] == "ScalingLimited":
        return ""
    reason = str(condition["reason"])
    if condition["type"] == "ScalingActive" and reason != "DryRun":
        return ""
    if condition["type"] == "Ready" and any(
        name in listed and _is_unhealthy(listed[name]) for name in _POSTED_BY.get(reason, ())
    ):
        return ""
    return reason


def _is_unhealthy(condition: Status) -> bool:
    return bool(condition["status"] == _OPPOSITE[CONDITIONS[condition["type"]]])


def _outcomes(listed: Sequence[Mapping[str, Any]]) -> list[tuple[str, str, str]]:
    return [(each["type"], each["status"], each["reason"]) for each in listed]
