"""The chart rendered by real helm, 3 and 4, once for each case and for all tests."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from chart.generated import CHART
from chart.tools import Helm, ToolMissing, find_helm

Json = dict[str, Any]

_EXTERNAL_REDIS = ("redis.enabled=false", "redis.external.existingSecret=redis")
# A toggle that cannot be turned alone, and what goes with it.
_COMPANIONS = {
    "redis.enabled": _EXTERNAL_REDIS[1:],
    "crds.install": ("crds.assumeInstalled=true",),
    "api.httpRoute.enabled": ("api.httpRoute.parentRefs[0].name=public",),
}
_ARCHIVE = "worker.model.archive.url=https://models.example/m.tar,worker.model.archive.sha256="
_MORE_CASES: dict[str, tuple[str, ...]] = {
    "plain": (),
    "dev": ("-f", "values-dev.yaml"),
    "gpu": ("-f", "values-gpu.yaml"),
    "ha": ("-f", "values-gpu.yaml", "-f", "values-ha.yaml"),
    "everything": (
        "-f", "values-gpu.yaml", "--set", "redis.exporter.enabled=true",
        "--set", "api.autoscaling.enabled=true",
        "--set", "api.ingress.enabled=true,api.ingress.host=asr.example",
    ),
    "redis with TLS": ("--set", ",".join((*_EXTERNAL_REDIS, "redis.external.caKey=ca.crt"))),
    "s3": ("--set", "store.type=s3,store.url=s3://bucket/asr,store.existingSecret=bucket"),
    "gcs": ("--set", "store.type=gcs,store.url=gs://bucket/asr,store.existingSecret=bucket"),
    "azure": ("--set", "store.type=azure,store.url=az://container/asr"),
    "no keys": ("--set", "auth.mode=off"),
    "two pools": (
        "--set", "pools[0].name=default,pools[1].name=large,pools[1].gpu.enabled=true"
        ",pools[1].model.name=iic/SenseVoiceSmall,pools[1].scaling.minReplicas=1",
    ),
    "pools elsewhere": ("--set-json", 'pools=[]', "--set-json", 'otherPools=["default"]'),
    "a model of each pod": ("--set", "worker.modelCache.persistent=false"),
    "a model in a claim": (
        "--set", "worker.modelCache.persistent=true,worker.gpu.enabled=true"
        ",worker.model.name=large-v3-turbo,worker.model.vad=silero,worker.model.mirrors={/mirror}",
    ),
    "a model in the image": ("--set", "worker.modelCache.inImage=true"),
    "a server of models": (
        "--set", "worker.model.engine=remote,worker.remote.url=http://vllm:8000/v1"
        ",worker.remote.existingSecret=vllm,worker.remote.concurrency=32",
    ),
    "a server of models beside the worker": (
        "--set", "worker.model.engine=remote,worker.remote.sidecar.image=vllm/vllm-openai:v0.20.0"
        ",worker.remote.sidecar.ports[0].containerPort=8000"
        ",worker.remote.sidecar.securityContext.readOnlyRootFilesystem=true"
        ",worker.remote.sidecar.resources.requests.cpu=4"
        ",worker.remote.sidecar.resources.limits.memory=32Gi",
    ),
    "model from an archive": ("--set", _ARCHIVE + "a" * 64),
    "own claims": (
        "--set", "store.pvc.existingClaim=mine,worker.modelCache.existingClaim=models",
    ),
    "users of the cluster's choice": ("-f", "values-openshift.yaml"),
    "redis by host": (
        "--set", "redis.enabled=false,redis.external.host=fd00::7,redis.external.tls=true"
        ",redis.external.existingSecret=redis,redis.external.username=asr"
        ",redis.external.tlsSecret=mine,redis.external.caKey=ca.crt"
        ",redis.external.certKey=tls.crt,redis.external.keyKey=tls.key",
    ),
    "two families of addresses": (
        "--set", "ipFamilyPolicy=RequireDualStack,ipFamilies={IPv6,IPv4}",
    ),
    "a load balancer": (
        "--set", "api.service.type=LoadBalancer,api.service.loadBalancerClass=mine.example/nlb"
        ",api.service.nodePort=30080,api.service.externalTrafficPolicy=Local"
        ",api.service.loadBalancerSourceRanges={10.0.0.0/8}",
    ),
    "a gateway": (
        "--set", "api.httpRoute.enabled=true,api.httpRoute.parentRefs[0].name=public"
        ",api.httpRoute.timeouts.request=0s,api.httpRoute.hostnames={asr.example}",
    ),
    "authorities of one's own": ("--set", "caBundle.configMap=mine"),
    "a second operator": ("--set", "operator.replicas=2,worker.podDisruptionBudget.enabled=true"),
    "another namespace": ("--set", "namespaceOverride=other"),
    "a registry of one's own": (
        "--set", "global.imageRegistry=mirror.example:5000/hub,redis.exporter.enabled=true",
    ),
    "no resources": (
        "--set-json", "worker.resources=null", "--set-json", "api.resources=null",
        "--set", "worker.gpu.enabled=true",
    ),
    "closed": (
        "--set-json", 'networkPolicies.apiFrom=[{"namespaceSelector":{}}]',
        "--set-json", 'networkPolicies.metricsFrom=[{"podSelector":{}}]',
    ),
    "objects of one's own": (
        "--set-json",
        'extraObjects=[{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"mine"}}]',
    ),
    "pools as objects": ("--set", "operator.poolsAs=objects"),
    "scaled by hand": ("--set", "operator.enabled=false,worker.replicas=2"),
}  # fmt: skip


def _toggles(values: Json, path: str = "") -> Iterator[tuple[str, bool]]:
    for name, value in values.items():
        here = f"{path}.{name}" if path else name
        if isinstance(value, bool):
            if here != "enabled":  # of a chart that has this one as a dependency
                yield here, value
        elif isinstance(value, dict):
            yield from _toggles(value, here)


def _cases() -> dict[str, tuple[str, ...]]:
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    turned = {}
    for path, default in _toggles(values):
        settings = (f"{path}={str(not default).lower()}", *_COMPANIONS.get(path, ()))
        turned[f"{path}={str(not default).lower()}"] = ("--set", ",".join(settings))
    return {**_MORE_CASES, **turned}


CASES = _cases()


@cache
def _helm(major: int) -> Helm | str:
    """The program, or why there is none."""
    try:
        return find_helm(major)
    except ToolMissing as error:
        return str(error)


def _found_helm(major: int) -> Helm:
    helm = _helm(major)
    if isinstance(helm, str):
        pytest.skip(helm)
    return helm


@dataclass(frozen=True)
class Rendered:
    """What one case makes."""

    case: str
    objects: tuple[Json, ...]

    def of_kind(self, *kinds: str) -> list[Json]:
        return [each for each in self.objects if each["kind"] in kinds]

    def find(self, kind: str, name: str) -> Json:
        (found,) = [each for each in self.of_kind(kind) if each["metadata"]["name"] == name]
        return found

    def worker_pools(self) -> list[Json]:
        """Those that are objects, or those that the job makes."""
        made = [
            pool
            for each in self.of_kind("ConfigMap")
            for pool in json.loads((each.get("data") or {}).get("pools.json", "[]"))
        ]
        return self.of_kind("WorkerPool") + made

    def pods(self) -> Iterator[tuple[str, Json]]:
        """Name and pod template of whatever runs pods; there are some in every case."""
        runs_pods = False
        for each in self.objects:
            spec = each.get("spec") or {}
            if each["kind"] == "Pod":
                template = each
            elif each["kind"] == "CronJob":
                template = spec["jobTemplate"]["spec"]["template"]
            elif each["kind"] in ("Deployment", "Job", "StatefulSet"):
                template = spec["template"]
            else:
                continue
            runs_pods = True
            yield f"{each['kind']}/{each['metadata']['name']}", template
        assert runs_pods, "a test that loops over the pods would look at none"

    def containers(self) -> Iterator[tuple[str, Json]]:
        for name, template in self.pods():
            spec = template["spec"]
            for container in (*spec.get("initContainers", ()), *spec["containers"]):
                yield f"{name}/{container['name']}", container


Render = Callable[..., Rendered]


class StrictLoader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """YAML as the API server and kustomize read it: a key that stands twice is refused."""

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        names = [self.construct_object(key, deep=True) for key, _ in node.value]
        twice = {name for name in names if names.count(name) > 1}
        if twice:
            raise yaml.constructor.ConstructorError(None, None, f"twice: {twice}", node.start_mark)
        return super().construct_mapping(node, deep)


def _rendered(helm: Helm, case: str, arguments: tuple[str, ...]) -> Rendered:
    places = [str(CHART / each) if each.startswith("values-") else each for each in arguments]
    made = helm.run("template", "asr", str(CHART), "--namespace", "speech", *places)
    assert made.returncode == 0, made.stderr
    objects = [each for each in yaml.load_all(made.stdout, StrictLoader) if each]
    return Rendered(case, tuple(objects))


@pytest.fixture(scope="session", params=[3, 4], ids=["helm3", "helm4"])
def helm(request: pytest.FixtureRequest) -> Helm:
    """Each of the two, or a skip with the reason."""
    return _found_helm(request.param)


@pytest.fixture(scope="session")
def helms() -> Callable[[int], Helm]:
    """One by its major version, or a skip."""
    return _found_helm


@pytest.fixture(scope="session")
def any_helm() -> Helm:
    """One of them."""
    return _found_helm(4 if isinstance(_helm(4), Helm) else 3)


@pytest.fixture(scope="session", params=CASES)
def rendered(request: pytest.FixtureRequest, any_helm: Helm) -> Rendered:
    """Each case of the matrix: every toggle turned, every profile."""
    return _rendered(any_helm, request.param, CASES[request.param])


@pytest.fixture(scope="session")
def rendered_otherwise(rendered: Rendered) -> Rendered:
    """The same by helm 3, where `rendered` is by helm 4."""
    _found_helm(4)
    return _rendered(_found_helm(3), rendered.case, CASES[rendered.case])


@pytest.fixture(scope="session")
def render(any_helm: Helm) -> Render:
    """Renders what a test asks for: arguments of `helm template`."""

    @cache
    def make(*arguments: str) -> Rendered:
        return _rendered(any_helm, " ".join(arguments), arguments)

    return make


@pytest.fixture(scope="session")
def chart_folder() -> Path:
    return CHART
