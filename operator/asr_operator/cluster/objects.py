"""The objects that the operator reads and writes: WorkerPools, their Deployment, its pods.

Translates API objects into the plan's plain data; takes no decision.
"""

from __future__ import annotations

import base64
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from asr_core.errors import ClusterUnavailable
from asr_operator.cluster import rest_client
from asr_operator.cluster.event import Event
from asr_operator.cluster.pods import DELETION_COST, deletion_cost, observe_pod, template_hash
from asr_operator.cluster.rest_client import Json, Kube, path
from asr_operator.planning.observation import PodObservation
from asr_operator.planning.spec import SecretKey

REVISION = "deployment.kubernetes.io/revision"  # set on a Deployment with its first ReplicaSet
# Marks a paused Deployment that the operator must start; a manual pause has no such annotation.
STARTED_BY = "asr-platform.dev/started-by"
REPORTER = "asr-platform.dev/operator"


@dataclass(frozen=True)
class Target:
    """The Deployment at one moment.

    `model` is the ASR_MODEL of its pods, `gpu` whether they request a GPU; both are empty for
    programs other than the chart's. `waits_for_start`: an installer applied it paused, for this
    operator to start. `has_run` is False until a first pod template was rolled out: until then
    `replicas` is the API server's default, not anyone's decision.
    """

    namespace: str
    name: str
    uid: str
    replicas: int
    selector: str
    model: str = ""
    gpu: bool = False
    waits_for_start: bool = False
    has_run: bool = True


@dataclass(frozen=True)
class Pods:
    """The Deployment's pods with their current deletion costs.

    `template` is the hash of the current pod template.
    """

    observed: tuple[PodObservation, ...]
    costs: Mapping[str, int]
    template: str = ""


class Cluster:
    """Reads and writes of one API server. Every method raises `ClusterUnavailable`."""

    def __init__(self, api: Kube, identity: str) -> None:
        self._api = api
        self._identity = identity

    async def pool(self, namespace: str, name: str) -> Json | None:
        """The WorkerPool; None once it is deleted."""
        return await self._api.find(path(rest_client.POOLS, namespace, "workerpools", name))

    async def report(self, namespace: str, name: str, changes: Json) -> None:
        """Merges `changes` into the WorkerPool's status; a list replaces a list."""
        url = path(rest_client.POOLS, namespace, "workerpools", name, "status")
        await self._api.patch(url, {"status": changes})

    async def target(self, namespace: str, name: str) -> Target | None:
        """The Deployment; None if there is none."""
        found = await self._api.find(path(rest_client.APPS, namespace, "deployments", name))
        if found is None:
            return None
        meta, spec = found["metadata"], found["spec"]
        annotations = meta.get("annotations") or {}
        return Target(
            namespace=namespace,
            name=name,
            uid=meta["uid"],
            replicas=spec.get("replicas", 1),
            selector=selector_text(spec.get("selector") or {}),
            model=environment(spec, "ASR_MODEL"),
            gpu=asks_for_gpu(spec),
            waits_for_start=bool(spec.get("paused")) and annotations.get(STARTED_BY) == "operator",
            has_run=REVISION in annotations,
        )

    async def pods(self, target: Target, now: float) -> Pods:
        """The pods of all ReplicaSets that the Deployment controls, without completed ones."""
        query = {"labelSelector": target.selector}
        sets = await self._api.items(path(rest_client.APPS, target.namespace, "replicasets"), query)
        sets = [each for each in sets if controller(each) == target.uid]
        owners = {each["metadata"]["uid"] for each in sets}
        found = await self._api.items(path(rest_client.CORE, target.namespace, "pods"), query)
        own = [pod for pod in found if controller(pod) in owners]
        return Pods(
            observed=tuple(each for pod in own if (each := observe_pod(pod, now))),
            costs={pod["metadata"]["name"]: deletion_cost(pod) for pod in own},
            template=current_template(sets),
        )

    async def scale(self, target: Target, replicas: int) -> None:
        """Sets the replicas; 422 if another writer has changed them since `target` was read.

        The resource version of a Deployment changes with every write of its status, so the patch
        tests only the value that it replaces. It uses the scale subresource: the right to patch
        Deployments would be the right to run any image.
        """
        # A Scale omits `spec.replicas` if it is 0 (omitempty); a test for null matches that.
        expected = target.replicas or None
        await self._api.json_patch(
            path(rest_client.APPS, target.namespace, "deployments", target.name, "scale"),
            [
                {"op": "test", "path": "/metadata/uid", "value": target.uid},
                {"op": "test", "path": "/spec/replicas", "value": expected},
                {"op": "add", "path": "/spec/replicas", "value": replicas},
            ],
        )

    async def start(self, target: Target, replicas: int) -> None:
        """Unpauses a Deployment that an installer applied paused.

        If it has never run, the same write sets its replicas, so that the API server's default of 1
        starts no pod. `paused` and the annotation are removed, not set to false: this operator then
        owns no field, and a later apply has no conflicts.
        """
        spec: Json = {"paused": None}
        if not target.has_run:
            spec["replicas"] = replicas
        await self._api.patch(
            path(rest_client.APPS, target.namespace, "deployments", target.name),
            {"metadata": {"uid": target.uid, "annotations": {STARTED_BY: None}}, "spec": spec},
        )

    async def set_deletion_cost(self, namespace: str, pod: str, cost: int) -> None:
        """Pods with a lower cost are deleted first. 404 is ignored: the pod was deleted."""
        body = {"metadata": {"annotations": {DELETION_COST: str(cost)}}}
        try:
            await self._api.patch(path(rest_client.CORE, namespace, "pods", pod), body)
        except ClusterUnavailable as error:
            if error.reply_status != 404:
                raise

    async def secret_text(self, namespace: str, ref: SecretKey) -> str:
        """One value of a Secret. Raises `ClusterUnavailable`, also if the key is missing."""
        secret = await self._api.get(path(rest_client.CORE, namespace, "secrets", ref.name))
        value = (secret.get("data") or {}).get(ref.key)
        if not value:
            raise ClusterUnavailable(f"Secret {ref.name!r} has no key {ref.key!r}")
        return base64.b64decode(value).decode().strip()

    async def autoscalers_of(self, target: Target) -> list[str]:
        """Names of the HorizontalPodAutoscalers that scale the same Deployment."""
        url = path(rest_client.AUTOSCALING, target.namespace, "horizontalpodautoscalers")
        return sorted(
            each["metadata"]["name"]
            for each in await self._api.items(url)
            if _scales(each["spec"].get("scaleTargetRef") or {}, target)
        )

    async def post(self, pool: Json, event: Event) -> None:
        """Posts an event on the WorkerPool, as `kubectl describe` shows it."""
        meta = pool["metadata"]
        body = {
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": {
                "name": f"{meta['name'][:200].rstrip('-.')}.{uuid.uuid4().hex[:16]}",
                "namespace": meta["namespace"],
            },
            "eventTime": rest_client.micro_time(),
            "reportingController": REPORTER,
            "reportingInstance": self._identity[:128],
            "action": event.action,
            "reason": event.reason,
            "type": "Warning" if event.warning else "Normal",
            "note": event.note[:1024],
            "regarding": {
                "apiVersion": pool["apiVersion"],
                "kind": pool["kind"],
                "name": meta["name"],
                "namespace": meta["namespace"],
                "uid": meta["uid"],
            },
        }
        await self._api.create(path(rest_client.EVENTS, meta["namespace"], "events"), body)


def current_template(sets: Iterable[Json]) -> str:
    """The template of the ReplicaSet with the latest revision, which the Deployment scales up.

    A rollback gives an old ReplicaSet the latest revision. A paused Deployment has no ReplicaSet
    for a new template yet; its pods are still created from the previous one.
    """
    latest = max(sets, key=_revision, default=None)
    return template_hash(latest) if latest is not None else ""


def environment(spec: Json, name: str) -> str:
    """The value of an environment variable in the first container that sets it."""
    for container in _containers(spec):
        for each in container.get("env") or []:
            if each.get("name") == name:
                return str(each.get("value") or "")
    return ""


def asks_for_gpu(spec: Json) -> bool:
    """Whether a container has a limit on some GPU: `nvidia.com/gpu`, `amd.com/gpu`, a MIG slice."""
    return any(
        "gpu" in resource or resource.startswith("nvidia.com/")
        for container in _containers(spec)
        for resource in (container.get("resources") or {}).get("limits") or {}
    )


def _containers(spec: Json) -> list[Json]:
    """The pod's containers, then its sidecars: init containers that go on."""
    pod = (spec.get("template") or {}).get("spec") or {}
    sidecars = [e for e in pod.get("initContainers") or [] if e.get("restartPolicy") == "Always"]
    return [*(pod.get("containers") or []), *sidecars]


def _revision(replica_set: Json) -> int:
    text = (replica_set["metadata"].get("annotations") or {}).get(REVISION, "0")
    return int(text) if text.isdecimal() else 0


def controller(thing: Json) -> str:
    """The uid of the controlling owner; empty without one."""
    owners = thing["metadata"].get("ownerReferences") or []
    return next((owner["uid"] for owner in owners if owner.get("controller")), "")


def selector_text(selector: Mapping[str, Any]) -> str:
    """A LabelSelector as the `labelSelector` query parameter."""
    parts = [f"{key}={value}" for key, value in (selector.get("matchLabels") or {}).items()]
    for each in selector.get("matchExpressions") or []:
        key, values = each["key"], ",".join(each.get("values") or [])
        match each["operator"]:
            case "In":
                parts.append(f"{key} in ({values})")
            case "NotIn":
                parts.append(f"{key} notin ({values})")
            case "Exists":
                parts.append(key)
            case "DoesNotExist":
                parts.append(f"!{key}")
    return ",".join(parts)


def _scales(ref: Json, target: Target) -> bool:
    return ref.get("kind") == "Deployment" and ref.get("name") == target.name
