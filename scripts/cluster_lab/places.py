"""Where a scene is set: on kmock, or on the API server of KUBECONFIG."""

from __future__ import annotations

import asyncio
import base64
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import kmock
import yaml
from kubernetes.client.configuration import Configuration

from asr_core.settings.queue import QueueSettings
from asr_operator.cluster import rest_client
from asr_operator.cluster.manifests import crd_text, role_rules_text
from asr_operator.cluster.rest_client import Json, load_configuration, path
from cluster_lab.admin import Admin
from cluster_lab.kubelet import NODE, Kubelet
from cluster_lab.programs import RedisProgram
from cluster_lab.scene import Scene
from cluster_lab.server import FakeCluster

_RBAC = "/apis/rbac.authorization.k8s.io/v1/namespaces/{}/"
_CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


@asynccontextmanager
async def on_kmock(redis: RedisProgram, folder: Path) -> AsyncIterator[Scene]:
    """A namespace of the stand-in."""
    async with FakeCluster() as cluster, kmock.Server(cluster) as server:
        configuration = Configuration()
        configuration.host = str(server.url).rstrip("/")
        kubeconfig = folder / "kubeconfig"
        kubeconfig.write_text(yaml.safe_dump(_kubeconfig({"server": configuration.host}, {})))
        yield _scene(Admin(configuration), "asr", redis, folder, kubeconfig, cluster, plays=True)


@asynccontextmanager
async def on_cluster(redis: RedisProgram, folder: Path) -> AsyncIterator[Scene]:
    """A namespace of its own. The operator gets an account with the role of `rbac.yaml`."""
    configuration = load_configuration()
    admin = Admin(configuration)
    namespace = f"asr-test-{uuid.uuid4().hex[:8]}"
    await install_crd(admin)
    await admin.create("/api/v1/namespaces", {"metadata": {"name": namespace}})
    try:
        plays = await needs_node(admin)
        kubeconfig = folder / "kubeconfig"
        token = await _account(admin, namespace)
        place = _server(configuration)
        kubeconfig.write_text(yaml.safe_dump(_kubeconfig(place, {"token": token})))
        yield _scene(Admin(configuration), namespace, redis, folder, kubeconfig, None, plays=plays)
    finally:
        await admin.delete(f"/api/v1/namespaces/{namespace}")
        await admin.close()


def _scene(
    admin: Admin,
    namespace: str,
    redis: RedisProgram,
    folder: Path,
    kubeconfig: Path,
    fake: FakeCluster | None,
    *,
    plays: bool,
) -> Scene:
    scene = Scene(
        admin=admin,
        namespace=namespace,
        redis=redis,
        kubeconfig=kubeconfig,
        folder=folder,
        fake=fake,
        kubelet=Kubelet(admin, namespace, plays=plays),
        settings=QueueSettings(_env_file=None, lease_seconds=1),
    )
    scene.kubelet.on_start, scene.kubelet.on_stop = scene.start_worker, scene.stop_worker
    return scene


def _kubeconfig(cluster: Json, user: Json) -> Json:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "test", "cluster": cluster}],
        "users": [{"name": "test", "user": user}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
        "current-context": "test",
    }


def _server(configuration: Configuration) -> Json:
    place: Json = {"server": configuration.host}
    if configuration.ssl_ca_cert:
        authority = Path(configuration.ssl_ca_cert).read_bytes()
        place["certificate-authority-data"] = base64.b64encode(authority).decode()
    elif not configuration.verify_ssl:
        place["insecure-skip-tls-verify"] = True
    return place


async def install_crd(admin: Admin) -> None:
    """The WorkerPool resource, and until it is served."""
    crd = yaml.safe_load(crd_text())
    url = f"{_CRDS}/{crd['metadata']['name']}"
    if await admin.find(url) is None:
        await admin.create(_CRDS, crd)
    else:
        await admin.patch(url, crd)
    while not any(
        each["type"] == "Established" and each["status"] == "True"
        for each in (await admin.get(url)).get("status", {}).get("conditions") or []
    ):
        await asyncio.sleep(0.1)
    while await admin.find(f"/{rest_client.POOLS}") is None:
        await asyncio.sleep(0.1)


async def needs_node(admin: Admin) -> bool:
    """Whether the test must play the kubelet. A node is made for its pods."""
    nodes = await admin.items("/api/v1/nodes")
    if any(_is_ready(node) for node in nodes if node["metadata"]["name"] != NODE):
        return False
    if await admin.find(f"/api/v1/nodes/{NODE}") is None:
        await admin.create("/api/v1/nodes", {"metadata": {"name": NODE}})
    return True


async def _account(admin: Admin, namespace: str) -> str:
    """A token of an account that may do what `rbac.yaml` says, and nothing else."""
    rbac, name = _RBAC.format(namespace), "asr-operator"
    await admin.create(
        path(rest_client.CORE, namespace, "serviceaccounts"), {"metadata": {"name": name}}
    )
    rules = yaml.safe_load(role_rules_text())
    await admin.create(rbac + "roles", {"metadata": {"name": name}, "rules": rules})
    binding: dict[str, Any] = {
        "metadata": {"name": name},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name},
        "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": namespace}],
    }
    await admin.create(rbac + "rolebindings", binding)
    url = path(rest_client.CORE, namespace, "serviceaccounts", name, "token")
    asked: Json = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    return str((await admin.create(url, asked))["status"]["token"])


def _is_ready(node: Json) -> bool:
    conditions = (node.get("status") or {}).get("conditions") or []
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)
