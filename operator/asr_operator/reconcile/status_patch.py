"""What a WorkerPool's status says, and which events tell of its changes. Pure.

The status is written when it says something new; numbers alone are told at most every ten seconds,
or every pool under load would be a write to the cluster's database each tick.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from asr_operator.cluster.event import Event
from asr_operator.planning.plan import Condition

NUMBERS_SECONDS = 10.0
# Each type, and the value that is no reason to look.
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
# Ready and ScalingActive sum up what other conditions say: those post the event of these reasons.
_POSTED_BY = {
    "HoldSignal": ("SignalAvailable",),
    "Fallback": ("SignalAvailable",),
    "HoldCapacity": ("CapacityUnavailable",),
    "GiveUpUnschedulable": ("CapacityUnavailable",),
    "HoldConflict": ("Conflict", "PoolMismatch"),
}
# What was asked for, and what passes by itself on every fresh install.
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
_WORDS = {True: "True", False: "False", None: "Unknown"}

Status = Mapping[str, Any]


def timestamp(now: float) -> str:
    """Unix seconds as Kubernetes writes a Time."""
    return datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def conditions(
    old: Status, new: Iterable[Condition], *, generation: int, now: float
) -> list[dict[str, Any]]:
    """Every type once, in a fixed order; what nobody spoke of stays as it was.

    `lastTransitionTime` is kept while the status of a condition is.
    """
    before = {each["type"]: each for each in old.get("conditions") or []}
    told = {each.type: each for each in new}
    listed = []
    for name in CONDITIONS:
        was, now_told = before.get(name), told.get(name)
        if now_told is None:
            if was is not None:
                listed.append(was)
            continue
        status = _WORDS[now_told.status]
        since = was["lastTransitionTime"] if was and was["status"] == status else timestamp(now)
        listed.append(
            {
                "type": name,
                "status": status,
                "observedGeneration": generation,
                "lastTransitionTime": since,
                "reason": now_told.reason,
                "message": now_told.message[:1024],
            }
        )
    return listed


def changes(old: Status, new: Status) -> dict[str, Any]:
    """The merge patch that makes `old` say what `new` says; empty if it does."""
    return {name: value for name, value in new.items() if old.get(name) != value}


def is_pressing(old: Status, changed: Mapping[str, Any]) -> bool:
    """Whether a change is more than moving numbers, in fields or in messages."""
    if any(name not in _NUMBERS and name != "conditions" for name in changed):
        return True
    if any((old.get(name) or 0) == 0 or not changed[name] for name in changed if name in _COUNTS):
        return True
    if "conditions" not in changed:
        return False
    return _verdicts(old.get("conditions") or []) != _verdicts(changed["conditions"])


def events(old: Status, new: Sequence[Mapping[str, Any]]) -> list[Event]:
    """One event for each cause that came, or went. A first status tells of what is bad only.

    A cause is the reason of a condition that is bad: another reason in the same condition is
    another cause.
    """
    before = {each["type"]: each for each in old.get("conditions") or []}
    now = {each["type"]: each for each in new}
    told = []
    for name, each in now.items():
        cause, last_cause = _cause(each, now), _cause(before.get(name), before)
        if cause == last_cause:
            continue
        if cause or each["status"] == CONDITIONS[name]:
            warning = bool(cause) and cause not in _NORMAL
            told.append(Event(each["reason"], each["message"], name, warning))
    return told


def _cause(condition: Status | None, listed: Mapping[str, Status]) -> str:
    """The reason, where the condition is bad and no other one of the same status says why.

    ScalingLimited posts none: a pool at its maximum every noon is no news. ScalingActive posts what
    Ready does not say.
    """
    if condition is None or not _is_bad(condition) or condition["type"] == "ScalingLimited":
        return ""
    reason = str(condition["reason"])
    if condition["type"] == "ScalingActive" and reason != "DryRun":
        return ""
    if condition["type"] == "Ready" and any(
        name in listed and _is_bad(listed[name]) for name in _POSTED_BY.get(reason, ())
    ):
        return ""
    return reason


def _is_bad(condition: Status) -> bool:
    return bool(condition["status"] == _OPPOSITE[CONDITIONS[condition["type"]]])


def _verdicts(listed: Sequence[Mapping[str, Any]]) -> list[tuple[str, str, str]]:
    return [(each["type"], each["status"], each["reason"]) for each in listed]
