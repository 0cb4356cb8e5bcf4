"""The Deployment and ReplicaSet controllers, as far as scaling goes, and garbage collection.

Which pods go first is as documented at
https://kubernetes.io/docs/concepts/workloads/controllers/replicaset/#scaling-down : without a node,
pending, not ready, then the lower deletion cost, then the younger one.
"""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from typing import Protocol

from cluster_lab.objects import Json, merged, owned_by

DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"
REVISION = "deployment.kubernetes.io/revision"
TEMPLATE_HASH = "pod-template-hash"


class Objects(Protocol):
    """What the controllers need of a server: its objects by (plural, namespace, name)."""

    store: dict[tuple[str, str, str], Json]

    def objects_of(self, plural: str, namespace: str) -> list[Json]: ...
    def create(self, plural: str, namespace: str, body: Json) -> Json: ...
    def write(self, plural: str, thing: Json) -> Json: ...
    def remove(self, plural: str, namespace: str, name: str) -> None: ...
    def next_version(self) -> str: ...


def reconcile(cluster: Objects, namespace: str) -> None:
    """Makes or removes pods until each Deployment has its replicas, and counts them."""
    _collect_garbage(cluster, namespace)
    for deployment in list(cluster.objects_of("deployments", namespace)):
        replicas = deployment["spec"].get("replicas", 1)
        owner = _replica_set(cluster, deployment)
        if owner is None:
            continue  # paused before its first
        deployment = cluster.store["deployments", namespace, deployment["metadata"]["name"]]
        _end_others(cluster, deployment, owner)
        if owner["spec"]["replicas"] != replicas:
            owner = cluster.write("replicasets", merged(owner, {"spec": {"replicas": replicas}}))
        uid = owner["metadata"]["uid"]
        pods = [
            pod
            for pod in cluster.objects_of("pods", namespace)
            if owned_by(pod, uid) and not pod["metadata"].get("deletionTimestamp")
        ]
        for _ in range(replicas - len(pods)):
            _make_pod(cluster, owner, deployment)
        for pod in sorted(pods, key=_deletion_order)[: max(0, len(pods) - replicas)]:
            _delete(cluster, pod)
        _count(cluster, namespace, deployment, uid)


def is_ready(pod: Json) -> bool:
    conditions = pod.get("status", {}).get("conditions") or []
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def terminate(cluster: Objects, pod: Json) -> None:
    """Marks a pod for deletion; its kubelet removes it."""
    if not pod["metadata"].get("deletionTimestamp"):
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        cluster.write("pods", merged(pod, {"metadata": {"deletionTimestamp": now}}))


def _deletion_order(pod: Json) -> tuple[bool, bool, bool, int, int]:
    cost = int((pod["metadata"].get("annotations") or {}).get(DELETION_COST, 0))
    is_pending = pod.get("status", {}).get("phase", "Pending") == "Pending"
    has_node = bool(pod["spec"].get("nodeName"))
    age = -int(pod["metadata"]["labels"]["made"])
    return (has_node, not is_pending, is_ready(pod), cost, age)


def _collect_garbage(cluster: Objects, namespace: str) -> None:
    """Removes what only owners own that are gone, and what those own in turn."""
    for plural in ("workerpools", "replicasets", "pods"):
        alive = {thing["metadata"]["uid"] for thing in cluster.store.values()}
        for thing in cluster.objects_of(plural, namespace):
            owners = {each["uid"] for each in thing["metadata"].get("ownerReferences") or []}
            if owners and not owners & alive:
                _delete(cluster, thing, plural)


def _delete(cluster: Objects, thing: Json, plural: str = "pods") -> None:
    if plural == "pods" and thing["spec"].get("nodeName"):
        terminate(cluster, thing)
    else:
        cluster.remove(plural, thing["metadata"]["namespace"], thing["metadata"]["name"])


def _replica_set(cluster: Objects, deployment: Json) -> Json | None:
    """The ReplicaSet of the Deployment's template, made if there is none; its revision is the
    latest, also after a rollback. A paused Deployment keeps what it has, or none."""
    meta, labels = deployment["metadata"], _labels(deployment)
    own = _replica_sets(cluster, deployment)
    latest = max((_revision(each) for each in own), default=0)
    if deployment["spec"].get("paused"):
        return max(own, key=_revision, default=None)
    for each in own:
        if each["metadata"]["labels"] == labels:
            if _revision(each) < latest:
                newer = {"metadata": {"annotations": {REVISION: str(latest + 1)}}}
                return cluster.write("replicasets", merged(each, newer))
            return each
    revision = {"annotations": {REVISION: str(latest + 1)}}
    cluster.write("deployments", merged(deployment, {"metadata": revision}))
    body = {
        "metadata": {
            "name": f"{meta['name']}-{labels[TEMPLATE_HASH]}",
            "labels": labels,
            "annotations": {REVISION: str(latest + 1)},
            "ownerReferences": [_reference(deployment)],
        },
        "spec": {"replicas": 0},
    }
    return cluster.create("replicasets", meta["namespace"], body)


def _replica_sets(cluster: Objects, deployment: Json) -> list[Json]:
    meta = deployment["metadata"]
    found = cluster.objects_of("replicasets", meta["namespace"])
    return [each for each in found if owned_by(each, meta["uid"])]


def _labels(deployment: Json) -> Json:
    """Those of the template, with its hash, as the Deployment controller gives them to pods."""
    template = deployment["spec"]["template"]
    digest = hashlib.sha256(json.dumps(template, sort_keys=True).encode()).hexdigest()[:10]
    return {**(template["metadata"].get("labels") or {}), TEMPLATE_HASH: digest}


def _revision(replica_set: Json) -> int:
    return int(replica_set["metadata"]["annotations"][REVISION])


def _end_others(cluster: Objects, deployment: Json, owner: Json) -> None:
    """A rolling update in one step: the pods of other templates go."""
    old = {each["metadata"]["uid"] for each in _replica_sets(cluster, deployment)}
    for uid in old - {owner["metadata"]["uid"]}:
        for pod in list(cluster.objects_of("pods", deployment["metadata"]["namespace"])):
            if owned_by(pod, uid):
                _delete(cluster, pod)


def _make_pod(cluster: Objects, owner: Json, deployment: Json) -> None:
    number = cluster.next_version()
    template = deployment["spec"]["template"]
    body = {
        "metadata": {
            "generateName": f"{owner['metadata']['name']}-",
            "labels": {**owner["metadata"]["labels"], "made": number},
            "ownerReferences": [_reference(owner)],
        },
        "spec": dict(template["spec"]),
    }
    cluster.create("pods", owner["metadata"]["namespace"], body)


def _reference(owner: Json) -> Json:
    return {
        "apiVersion": owner["apiVersion"], "kind": owner["kind"], "controller": True,
        "name": owner["metadata"]["name"], "uid": owner["metadata"]["uid"],
    }  # fmt: skip


def _count(cluster: Objects, namespace: str, deployment: Json, uid: str) -> None:
    pods = [
        pod
        for pod in cluster.objects_of("pods", namespace)
        if owned_by(pod, uid) and not pod["metadata"].get("deletionTimestamp")
    ]
    status = {"replicas": len(pods), "readyReplicas": sum(map(is_ready, pods))}
    if deployment.get("status") != status:
        cluster.write("deployments", {**deployment, "status": status})
