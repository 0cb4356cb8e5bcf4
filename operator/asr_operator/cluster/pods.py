"""A worker's pod as the plan's plain data. No I/O."""

from __future__ import annotations

from datetime import datetime

from asr_operator.cluster.rest_client import Json
from asr_operator.planning.observation import PodObservation, PodState

DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"
TEMPLATE_HASH = "pod-template-hash"
MODEL_CONTAINER = "model"  # the chart's init container that fetches a model


def observe_pod(pod: Json, now: float) -> PodObservation | None:
    """None for a completed pod (Succeeded or Failed), which no longer counts as a replica."""
    meta, status = pod["metadata"], pod.get("status") or {}
    conditions = {each["type"]: each for each in status.get("conditions") or []}
    ready, scheduled = conditions.get("Ready", {}), conditions.get("PodScheduled", {})
    created = unix_time(meta["creationTimestamp"])
    startup_seconds = None
    if meta.get("deletionTimestamp"):
        state = PodState.TERMINATING
    elif status.get("phase") in ("Succeeded", "Failed"):
        return None
    elif ready.get("status") == "True":
        state = PodState.READY
        if not _has_restarted(status):  # after a restart, the last Ready is not the first
            startup_seconds = max(0.0, unix_time(ready["lastTransitionTime"]) - created)
    elif scheduled.get("status") == "False" and scheduled.get("reason") == "Unschedulable":
        state = PodState.UNSCHEDULABLE
    else:
        state = PodState.STARTING
    age = max(0.0, now - created)
    fetch = shared_fetch_seconds(pod, now)
    return PodObservation(meta["name"], state, age, startup_seconds, template_hash(pod), fetch)


def shared_fetch_seconds(pod: Json, now: float) -> float:
    """Seconds that the chart's init container has fetched a model into a claim: later pods are
    spared them. 0 where each pod has a volume of its own.
    """
    spec, status = pod.get("spec") or {}, pod.get("status") or {}
    claims = {e["name"] for e in spec.get("volumes") or [] if "persistentVolumeClaim" in e}
    shared = any(
        container.get("name") == MODEL_CONTAINER
        and claims & {each.get("name") for each in container.get("volumeMounts") or []}
        for container in spec.get("initContainers") or []
    )
    if not shared:
        return 0.0
    for each in status.get("initContainerStatuses") or []:
        if each.get("name") == MODEL_CONTAINER:
            state = each.get("state") or {}
            run = state.get("terminated") or state.get("running") or {}
            if started := run.get("startedAt"):
                ended = unix_time(run["finishedAt"]) if run.get("finishedAt") else now
                return max(0.0, ended - unix_time(started))
    return 0.0


def template_hash(thing: Json) -> str:
    """The pod template of a pod or ReplicaSet; empty without the label."""
    return str((thing["metadata"].get("labels") or {}).get(TEMPLATE_HASH, ""))


def deletion_cost(pod: Json) -> int:
    """The pod's annotation; 0 if it is missing or invalid, as Kubernetes treats it."""
    text = (pod["metadata"].get("annotations") or {}).get(DELETION_COST, "0")
    try:
        return int(text)
    except ValueError:
        return 0


def unix_time(text: str) -> float:
    """An RFC 3339 time of Kubernetes as Unix seconds."""
    return datetime.fromisoformat(text).timestamp()


def _has_restarted(status: Json) -> bool:
    return any(each.get("restartCount") for each in status.get("containerStatuses") or [])
