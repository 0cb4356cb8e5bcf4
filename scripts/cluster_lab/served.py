"""What the stand-in serves: its resources, as discovery, lists and messages name them."""

from __future__ import annotations

import kmock
import yaml

from asr_operator.cluster.manifests import crd_text
from cluster_lab.objects import Json

RESOURCES = {
    "pods": ("", "v1", "Pod"),
    "secrets": ("", "v1", "Secret"),
    "deployments": ("apps", "v1", "Deployment"),
    "replicasets": ("apps", "v1", "ReplicaSet"),
    "horizontalpodautoscalers": ("autoscaling", "v2", "HorizontalPodAutoscaler"),
    "leases": ("coordination.k8s.io", "v1", "Lease"),
    "events": ("events.k8s.io", "v1", "Event"),
    "workerpools": ("asr-platform.dev", "v1alpha1", "WorkerPool"),
}
WITH_STATUS = {"pods", "deployments", "workerpools"}
CRD: Json = yaml.safe_load(crd_text())
# Discovery for kopf, which uses none of it, and for kubectl.
_FOR_CLIENTS = [
    ("namespaces", "", "v1", "Namespace"),
    ("customresourcedefinitions", "apiextensions.k8s.io", "v1", "CustomResourceDefinition"),
    ("events", "", "v1", "Event"),
]
_ALL = [*((plural, *where) for plural, where in RESOURCES.items()), *_FOR_CLIENTS]
_CLUSTERWIDE = {"namespaces", "customresourcedefinitions"}
_VERBS = ["create", "delete", "get", "list", "patch", "watch"]


def api_version(plural: str) -> str:
    """`apps/v1`, or `v1` for the core group."""
    group, version, _ = RESOURCES[plural]
    return f"{group}/{version}" if group else version


def qualified(plural: str) -> str:
    """As messages name a resource: `deployments.apps`."""
    group = RESOURCES[plural][0]
    return f"{plural}.{group}" if group else plural


def for_kmock() -> dict[kmock.resource, kmock.ResourceInfo]:
    """By these kmock takes requests apart."""
    return {
        kmock.resource(group, version, plural): kmock.ResourceInfo(
            namespaced=plural not in _CLUSTERWIDE,
            kind=kind,
            singular=kind.lower(),
            verbs=set(_VERBS),
            subresources={"status"} if plural in WITH_STATUS else set(),
        )
        for plural, group, version, kind in _ALL
    }


def discovery(path: str) -> Json | None:
    """The APIResourceList of `/apis/GROUP/VERSION` or `/api/v1`; None for other paths.

    kmock's own calls the core group `/v1`, and gives short names to subresources too.
    """
    found = [
        listed
        for plural, group, version, kind in _ALL
        if path == (f"/apis/{group}/{version}" if group else f"/api/{version}")
        for listed in _listed(plural, kind)
    ]
    if not found:
        return None
    served = path.removeprefix("/apis/").removeprefix("/api/")
    head = {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": served}
    return {**head, "resources": found}


def _listed(plural: str, kind: str) -> list[Json]:
    is_namespaced = plural not in _CLUSTERWIDE
    one: Json = {
        "name": plural, "singularName": kind.lower(), "kind": kind,
        "namespaced": is_namespaced, "verbs": _VERBS,
    }  # fmt: skip
    if plural == CRD["spec"]["names"]["plural"]:
        names = CRD["spec"]["names"]
        one |= {"shortNames": names["shortNames"], "categories": names["categories"]}
    if plural not in WITH_STATUS:
        return [one]
    status = {**one, "name": f"{plural}/status", "singularName": "", "verbs": ["get", "patch"]}
    for name in ("shortNames", "categories"):
        status.pop(name, None)
    return [one, status]
