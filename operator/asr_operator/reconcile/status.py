"""From the resource to the plan's spec and history, and from a decision to the status. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from asr_operator.cluster.rest_client import Json
from asr_operator.planning.observation import History, Signal
from asr_operator.planning.plan import Condition, Plan, Reason
from asr_operator.planning.spec import PoolSpec, ignored_fields
from asr_operator.reconcile import status_patch
from asr_operator.reconcile.observer import Snapshot, last_written


def parse_spec(pool: Json) -> PoolSpec:
    """The spec as the plan knows it, without fields that mean nothing. Raises `InvalidOption`.

    The API server refuses such fields; objects that were stored before it did must work on.
    """
    spec = {key: value for key, value in (pool.get("spec") or {}).items() if value is not None}
    for each in ignored_fields(spec):
        spec[each.part] = {k: v for k, v in spec[each.part].items() if k != each.field}
    return PoolSpec.parse(spec)


def pool_status(look: Snapshot, decided: Plan, *, will_scale: bool) -> dict[str, Any]:
    """The whole status after this decision. Numbers of a queue that is away stay as they were."""
    seen, old = look.observation, look.pool.get("status") or {}
    generation = int(look.pool["metadata"].get("generation") or 0)
    status: dict[str, Any] = {
        "observedGeneration": generation,
        "replicas": seen.replicas,
        "readyReplicas": seen.ready,
        "desiredReplicas": decided.desired,
        "throughput": round(decided.throughput, 1),
        "startupSeconds": round(decided.startup_seconds, 1),
        "measurements": [
            {
                "template": each.template,
                "model": each.model[:253],
                "device": each.device[:63],
                "throughput": round(each.throughput, 1),
                "startupSeconds": round(each.startup_seconds, 1),
            }
            for each in decided.measurements
        ],
        "conditions": status_patch.conditions(
            old,
            (*decided.conditions, _field_ignored(look.pool)),
            generation=generation,
            now=seen.now,
        ),
    }
    if seen.queue.signal is not Signal.UNREACHABLE:
        status |= {
            "waiting": seen.queue.waiting,
            "inFlight": seen.queue.in_flight,
            "oldestWaitSeconds": round(seen.queue.oldest_wait_seconds),
            "backlogAudioSeconds": round(seen.queue.audio_seconds, 1),
        }
    if look.owned:
        status |= _scale_status(look, decided, old, will_scale=will_scale)
    return status


def _field_ignored(pool: Json) -> Condition:
    found = ignored_fields(pool.get("spec") or {})
    if not found:
        return Condition("FieldIgnored", False, "AllFieldsUsed", "every field of the spec is used")
    message = "; ".join(f"{each.message}: ignored" for each in found)
    return Condition("FieldIgnored", True, found[0].reason, message)


def _scale_status(
    look: Snapshot, decided: Plan, old: status_patch.Status, *, will_scale: bool
) -> dict[str, Any]:
    replicas = look.target.replicas
    status: dict[str, Any] = {}
    if "replicasAtFirst" not in old:
        status["replicasAtFirst"] = replicas
    if will_scale:
        status["lastScaleTime"] = status_patch.timestamp(look.observation.now)
        status["lastScale"] = {"from": replicas, "to": decided.replicas, "done": False}
    elif last := old.get("lastScale"):
        is_foreign = last_written(old, replicas) != replicas
        if replicas == last["to"]:
            status["lastScale"] = {**last, "done": True}
        elif is_foreign and decided.act and decided.reason is not Reason.HOLD_CONFLICT:
            # The plan has come to terms with what another writer set.
            status["lastScale"] = {"from": last["to"], "to": replicas, "done": True}
    return status


def first_history(status: status_patch.Status) -> History:
    """Since when the queue could not be read is the one thing that a restart should know."""
    for each in status.get("conditions") or []:
        if each["type"] == "SignalAvailable" and each["status"] == "False":
            lost_at = datetime.fromisoformat(each["lastTransitionTime"]).timestamp()
            return History(signal_lost_at=lost_at)
    return History()
