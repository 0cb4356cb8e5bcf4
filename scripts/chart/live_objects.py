"""What installers do to one Deployment that is there: helm 3, helm 4, kubectl, and who scales it.

An object with the fields that a chart, an operator and an autoscaler share: everything but lists,
where a strategic merge is a plain one. Sources: `createPatch` and `update` in pkg/kube/client.go of
helm (3.17: three-way; 4.1: server-side apply without force), the `apply` documentation of
Kubernetes, and its default of `spec.replicas`. What is said here was seen on a real API server:
tests/chart/installed.
"""

from __future__ import annotations

import copy
import json
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import yaml

Json = dict[str, Any]
Field = tuple[str, ...]
REPLICAS: Field = ("spec", "replicas")


class Conflict(Exception):
    """Server-side apply without force, of a field that another manager has set otherwise."""


def fields(value: Any, path: Field = ()) -> dict[Field, Any]:
    """The leaves that are no lists, by their path."""
    if isinstance(value, dict):
        return {
            k: v for name, each in value.items() for k, v in fields(each, (*path, name)).items()
        }
    return {} if isinstance(value, list) else {path: value}


def watched(manifest: Json) -> dict[Field, Any]:
    """Of a Deployment's manifest: annotations, and the spec but for its template."""
    spec = {
        name: each
        for name, each in manifest["spec"].items()
        if name not in ("template", "selector")
    }
    annotations = manifest["metadata"].get("annotations") or {}
    return fields({"metadata": {"annotations": annotations}, "spec": spec})


@dataclass
class LiveDeployment:
    """Values and their managers, by field. `seen` has every number of replicas that there was."""

    name: str
    values: dict[Field, Any] = field(default_factory=dict)
    owners: dict[Field, set[tuple[str, str]]] = field(default_factory=dict)
    seen: list[int] = field(default_factory=list)

    def write(self, changes: dict[Field, Any], manager: str, how: str = "Update") -> None:
        """A patch; None removes. Who changes a field is its only manager."""
        for path, value in changes.items():
            if value is None:
                self.values.pop(path, None)
                self.owners.pop(path, None)
            elif self.values.get(path) != value:
                self.values[path] = value
                self.owners[path] = {(manager, how)}
        self._default()

    def merge_three_ways(self, old: Json, new: Json, manager: str = "helm") -> None:
        """Removes what only the old manifest has; sets what the live object has otherwise."""
        before, wanted = watched(old), watched(new)
        gone: dict[Field, Any] = dict.fromkeys(before.keys() - wanted.keys())
        self.write({**gone, **wanted}, manager)

    def apply(self, manifest: Json, manager: str, *, force: bool = False) -> None:
        """On the server. A field that the manager applies no more stays if another one has it."""
        wanted, me = watched(manifest), (manager, "Apply")
        for path, value in wanted.items():
            others = self.owners.get(path, set()) - {me}
            if others and self.values.get(path) != value and not force:
                raise Conflict(f"{'.'.join(path)}: {sorted(others)}")
        for path in [p for p, owners in self.owners.items() if me in owners and p not in wanted]:
            self.owners[path].discard(me)
            if not self.owners[path]:
                self.write({path: None}, manager)
        for path, value in wanted.items():
            if self.values.get(path) == value:
                self.owners.setdefault(path, set()).add(me)
            else:
                self.values[path], self.owners[path] = value, {me}
        self._default()

    def scale(self, replicas: int, manager: str) -> None:
        self.write({REPLICAS: replicas}, manager)

    def as_object(self) -> Json:
        """As `lookup` gets it."""
        made: Json = {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": self.name},
        }
        managed: dict[tuple[str, str], Json] = {}
        for path, value in self.values.items():
            _put(made, path, value)
            for owner in self.owners.get(path, ()):
                _put(managed.setdefault(owner, {}), tuple(f"f:{each}" for each in path), {})
        made["metadata"]["managedFields"] = [
            {"manager": manager, "operation": how, "fieldsType": "FieldsV1", "fieldsV1": owned}
            for (manager, how), owned in managed.items()
        ]
        return made

    def _default(self) -> None:
        self.values.setdefault(REPLICAS, 1)
        self.seen.append(self.values[REPLICAS])


def _put(thing: Json, path: Field, value: Any) -> None:
    for name in path[:-1]:
        thing = thing.setdefault(name, {})
    thing[path[-1]] = copy.deepcopy(value)


@contextmanager
def looked_up(objects: dict[str, LiveDeployment], folder: Path) -> Iterator[Path]:
    """A kubeconfig of a server that knows nothing but these Deployments, for helm's `lookup`."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = _answer(self.path.partition("?")[0], objects)
            body = json.dumps(found or {"kind": "Status", "apiVersion": "v1", "status": "Failure",
                                        "reason": "NotFound", "code": 404}).encode()  # fmt: skip
            self.send_response(200 if found else 404)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    place = {"server": f"http://127.0.0.1:{server.server_port}"}
    kubeconfig = folder / "lookup.kubeconfig"
    kubeconfig.write_text(
        yaml.safe_dump(
            {
                "apiVersion": "v1", "kind": "Config", "current-context": "test",
                "clusters": [{"name": "test", "cluster": place}],
                "users": [{"name": "test", "user": {}}],
                "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
            }
        )
    )  # fmt: skip
    try:
        yield kubeconfig
    finally:
        server.shutdown()
        server.server_close()


# The kinds of a release, which helm 4 looks up before it renders.
_KINDS = {
    "v1": "Secret ConfigMap Service ServiceAccount PersistentVolumeClaim Pod",
    "apps/v1": "Deployment StatefulSet",
    "batch/v1": "CronJob",
    "policy/v1": "PodDisruptionBudget",
    "autoscaling/v2": "HorizontalPodAutoscaler",
    "networking.k8s.io/v1": "NetworkPolicy Ingress",
    "rbac.authorization.k8s.io/v1": "Role RoleBinding",
    "coordination.k8s.io/v1": "Lease",
    "apiextensions.k8s.io/v1": "CustomResourceDefinition",
}


def _answer(path: str, objects: Mapping[str, LiveDeployment]) -> Json | None:
    match path.strip("/").split("/"):
        case ["version"]:
            return {"major": "1", "minor": "31", "gitVersion": "v1.31.0"}
        case ["api"]:
            return {"kind": "APIVersions", "versions": ["v1"]}
        case ["apis"]:
            groups = [_group(version) for version in _KINDS if "/" in version]
            return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}
        case ["api" | "apis", *version] if "/".join(version) in _KINDS:
            return _resources("/".join(version))
        case [*_, "deployments", name] if name in objects:
            return objects[name].as_object()
    return None


def _group(version: str) -> Json:
    name, _, number = version.partition("/")
    served = {"groupVersion": version, "version": number}
    return {"name": name, "versions": [served], "preferredVersion": served}


def _resources(version: str) -> Json:
    listed = [
        {
            "name": re.sub("y$", "ie", kind.lower()) + "s",
            "singularName": "", "namespaced": kind != "CustomResourceDefinition",
            "kind": kind, "verbs": ["get"],
        }
        for kind in _KINDS[version].split()
    ]  # fmt: skip
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": version,
            "resources": listed}  # fmt: skip
