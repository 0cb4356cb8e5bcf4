"""Resource to spec and history, decision to status. Pure."""

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
    """The plan's spec, without fields that have no effect. Raises `InvalidOption`.

    The API server refuses such fields; objects stored by an older CRD must keep working.
    """
    spec = {key: value for key, value in (pool.get("spec") or {}).items() if value is not None}
    for each in ignored_fields(spec):
        spec[each.part] = {k: v for k, v in spec[each.part].items() if k != each.field}
    return PoolSpec.parse(spec)


def pool_status(snapshot: Snapshot, decision: Plan, *, will_scale: bool) -> dict[str, Any]:
    """The whole status after this decision; without queue numbers if the queue is unreachable."""
    observation, old = snapshot.observation, snapshot.pool.get("status") or {}
    generation = int(snapshot.pool["metadata"].get("generation") or 0)
    status: dict[str, Any] = {
        "observedGeneration": generation,
        "replicas": observation.replicas,
        "readyReplicas": observation.ready,
        "desiredReplicas": decision.desired,
        "throughput": round(decision.throughput, 1),
        "startupSeconds": round(decision.startup_seconds, 1),
        "measurements": [
            {
                "template": each.template,
                "model": each.model[:253],
                "device": each.device[:63],
                "throughput": round(each.throughput, 1),
                "startupSeconds": round(each.startup_seconds, 1),
            }
            for each in decision.measurements
        ],
        "conditions": status_patch.conditions(
            old,
            (*decision.conditions, _field_ignored(snapshot.pool)),
            generation=generation,
            now=observation.now,
        ),
    }
    if observation.queue.signal is not Signal.UNREACHABLE:
        status |= {
            "waiting": observation.queue.waiting,
            "inFlight": observation.queue.in_flight,
            "oldestWaitSeconds": round(observation.queue.oldest_wait_seconds),
            "backlogAudioSeconds": round(observation.queue.audio_seconds, 1),
        }
    if snapshot.owned:
        status |= _scale_status(snapshot, decision, old, will_scale=will_scale)
    return status


def _field_ignored(pool: Json) -> Condition:
    found = ignored_fields(pool.get("spec") or {})
    if not found:
        return Condition("FieldIgnored", False, "AllFieldsUsed", "every field of the spec is used")
    message = "; ".join(f"{each.message}: ignored" for each in found)
    return Condition("FieldIgnored", True, found[0].reason, message)


def _scale_status(
    snapshot: Snapshot, decision: Plan, old: status_patch.Status, *, will_scale: bool
) -> dict[str, Any]:
    replicas = snapshot.target.replicas
    status: dict[str, Any] = {}
    if "replicasAtFirst" not in old:
        status["replicasAtFirst"] = replicas
    if will_scale:
        status["lastScaleTime"] = status_patch.timestamp(snapshot.observation.now)
        status["lastScale"] = {"from": replicas, "to": decision.replicas, "done": False}
    elif last := old.get("lastScale"):
        is_foreign = last_written(old, replicas) != replicas
        if replicas == last["to"]:
            status["lastScale"] = {**last, "done": True}
        elif is_foreign and decision.execute and decision.reason is not Reason.HOLD_CONFLICT:
            # The plan has accepted the replicas that another writer set.
            status["lastScale"] = {"from": last["to"], "to": replicas, "done": True}
    return status


def first_history(status: status_patch.Status) -> History:
    """The history after a restart: only since when the queue is unreachable is in the status."""
    for each in status.get("conditions") or []:
        if each["type"] == "SignalAvailable" and each["status"] == "False":
            lost_at = datetime.fromisoformat(each["lastTransitionTime"]).timestamp()
            return History(signal_lost_at=lost_at)
    return History()
