"""What the chart makes in every case is valid, safe, and fits together."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml

from asr_operator.cluster.manifests import crd_text
from chart.tools import Helm

Json = dict[str, Any]
OLDEST, NEWEST = "1.29", kubernetes_validate.latest_version()
# The Prometheus Operator's, the Gateway API's, and ours; Kubernetes has no schema of them.
FOREIGN = {"ServiceMonitor", "PodMonitor", "PrometheusRule", "WorkerPool", "HTTPRoute"}
PROFILES = ("RuntimeDefault", "Localhost")
SAFE_VOLUMES = {
    *("configMap", "csi", "downwardAPI", "emptyDir", "ephemeral"),
    *("persistentVolumeClaim", "projected", "secret"),
}


def test_the_chart_passes_the_strict_linter(helm: Helm, chart_folder: Any) -> None:
    linted = helm.run("lint", "--strict", str(chart_folder))
    assert linted.returncode == 0, linted.stdout + linted.stderr


def test_helm_3_and_helm_4_make_the_same(rendered: Any, rendered_otherwise: Any) -> None:
    def without_chance(objects: list[Json]) -> list[Json]:
        return [{**each, "data": None} if each["kind"] == "Secret" else each for each in objects]

    assert without_chance(rendered.objects) == without_chance(rendered_otherwise.objects)


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
def test_every_object_is_valid_kubernetes(rendered: Any, version: str) -> None:
    assert len(rendered.objects) > 10
    for each in rendered.objects:
        if each["kind"] not in FOREIGN:
            _validate(json.dumps(each, sort_keys=True), version)
    for pool in rendered.worker_pools():
        _pool_validator().validate(pool)


@cache  # most objects are the same in most cases
def _validate(text: str, version: str) -> None:
    kubernetes_validate.validate(json.loads(text), version, strict=True)


@cache
def _pool_validator() -> Any:
    crd = yaml.safe_load(crd_text())
    return jsonschema.Draft202012Validator(
        _closed(crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"])
    )


def _closed(schema: Any) -> Any:
    """The schema, refusing what the API server would drop in silence."""
    if isinstance(schema, list):
        return [_closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {name: _closed(value) for name, value in schema.items() if name != "exclusiveMinimum"}
    if isinstance(schema.get("properties"), dict) and schema["properties"]:
        closed["additionalProperties"] = False
    return closed


def test_an_unknown_field_would_be_noticed(render: Any) -> None:
    pool = json.loads(json.dumps(render().worker_pools()[0]))
    pool["spec"]["scaling"]["minReplicaz"] = 1
    with pytest.raises(jsonschema.ValidationError):
        _pool_validator().validate(pool)
    service = {**render().of_kind("Service")[0], "speck": {}}
    with pytest.raises(kubernetes_validate.ValidationError):
        _validate(json.dumps(service), NEWEST)


def test_every_pod_is_restricted(rendered: Any) -> None:
    found = {name: violations(template["spec"]) for name, template in rendered.pods()}
    assert {name: each for name, each in found.items() if each} == {}


def violations(spec: Json) -> list[str]:
    """What Pod Security `restricted` forbids in a pod, by the Kubernetes documentation's list."""
    pod = spec.get("securityContext") or {}
    found = [name for name in ("hostNetwork", "hostPID", "hostIPC") if spec.get(name)]
    for volume in spec.get("volumes", ()):
        found += [f"volume {kind}" for kind in volume if kind not in {"name", *SAFE_VOLUMES}]
    if pod.get("sysctls"):
        found.append("sysctls")
    containers = [
        container
        for kind in ("initContainers", "containers", "ephemeralContainers")
        for container in spec.get(kind, ())
    ]
    for container in containers:
        found += _container_violations(container, pod)
    return found


def _container_violations(container: Json, pod: Json) -> list[str]:
    own = container.get("securityContext") or {}
    capabilities = own.get("capabilities") or {}

    def set_to(name: str) -> Any:
        return own.get(name, pod.get(name))

    wrong = {
        "privileged": own.get("privileged"),
        "allowPrivilegeEscalation": own.get("allowPrivilegeEscalation") is not False,
        "drop": "ALL" not in capabilities.get("drop", ()),
        "add": set(capabilities.get("add", ())) - {"NET_BIND_SERVICE"},
        "runAsNonRoot": set_to("runAsNonRoot") is not True,
        "runAsUser": set_to("runAsUser") == 0,
        "seccomp": (set_to("seccompProfile") or {}).get("type") not in PROFILES,
        "procMount": own.get("procMount", "Default") != "Default",
        "hostPort": any(port.get("hostPort") for port in container.get("ports", ())),
        "seLinux": (set_to("seLinuxOptions") or {}).get("user"),
        "hostProcess": (set_to("windowsOptions") or {}).get("hostProcess"),
    }  # fmt: skip
    return [f"{container['name']}: {name}" for name, is_wrong in wrong.items() if is_wrong]


@pytest.mark.parametrize(
    "loosened",
    [
        {"pod": {"hostNetwork": True}},
        {"pod": {"volumes": [{"name": "x", "hostPath": {"path": "/"}}]}},
        {"pod": {"securityContext": {}}},
        {"container": {"securityContext": {}}},
        {"container": {"ports": [{"containerPort": 1, "hostPort": 1}]}},
        {"security": {"privileged": True}},
        {"security": {"runAsUser": 0}},
        {"security": {"capabilities": {"drop": ["ALL"], "add": ["SYS_ADMIN"]}}},
        {"security": {"seccompProfile": {"type": "Unconfined"}}},
    ],
)
def test_a_pod_that_is_not_restricted_would_be_noticed(render: Any, loosened: Json) -> None:
    _, template = next(render().pods())
    spec = json.loads(json.dumps(template["spec"]))
    assert violations(spec) == []
    spec.update(loosened.get("pod", {}))
    spec["containers"][0].update(loosened.get("container", {}))
    spec["containers"][0]["securityContext"].update(loosened.get("security", {}))
    assert violations(spec)


def test_every_container_has_a_read_only_root_and_a_bounded_memory(rendered: Any) -> None:
    for name, container in rendered.containers():
        assert container["securityContext"]["readOnlyRootFilesystem"] is True, name
        if rendered.case == "no resources" and container["name"] in ("worker", "api", "model"):
            continue
        assert container["resources"]["limits"]["memory"], name
        assert container["resources"]["requests"]["cpu"], name


def test_only_the_operator_has_a_token_of_the_cluster(rendered: Any) -> None:
    theirs = "-operator"
    for name, template in rendered.pods():
        spec = template["spec"]
        may = spec["serviceAccountName"].endswith(theirs)
        assert spec["automountServiceAccountToken"] is may, name
        assert spec["enableServiceLinks"] is False, name
    for account in rendered.of_kind("ServiceAccount"):
        may = account["metadata"]["name"].endswith(theirs)
        assert account["automountServiceAccountToken"] is may


def test_nothing_has_a_finalizer_that_an_uninstall_could_wait_for(rendered: Any) -> None:
    assert [each for each in rendered.objects if "finalizers" in each["metadata"]] == []


def test_every_image_has_a_version(rendered: Any) -> None:
    for name, container in rendered.containers():
        _, _, tag = container["image"].rpartition(":")
        assert tag not in ("", "latest", container["image"]), name


def test_names_are_unique_and_every_reference_leads_somewhere(rendered: Any) -> None:
    names = [(each["kind"], each["metadata"]["name"]) for each in rendered.objects]
    assert len(names) == len(set(names))
    accounts = {name for kind, name in names if kind == "ServiceAccount"}
    kept = {(k, n) for k, n in names if k in ("Secret", "ConfigMap", "PersistentVolumeClaim")}
    theirs = {"redis", "asr-redis", "asr-store", "bucket", "mine", "models", "vllm"}
    for name, template in rendered.pods():
        spec = template["spec"]
        assert spec["serviceAccountName"] in accounts, name
        for kind, wanted in _references(spec):
            assert (kind, wanted) in kept or wanted in theirs, f"{name}: {kind} {wanted}"


def _references(spec: Json) -> list[tuple[str, str]]:
    found = []
    for volume in spec.get("volumes", ()):
        if "secret" in volume:
            found.append(("Secret", volume["secret"]["secretName"]))
        if "configMap" in volume:
            found.append(("ConfigMap", volume["configMap"]["name"]))
        if "persistentVolumeClaim" in volume:
            found.append(("PersistentVolumeClaim", volume["persistentVolumeClaim"]["claimName"]))
    for container in (*spec.get("initContainers", ()), *spec["containers"]):
        sources = [setting.get("valueFrom", {}) for setting in container.get("env", ())]
        keys = [source["secretKeyRef"] for source in sources if "secretKeyRef" in source]
        found += [("Secret", key["name"]) for key in keys]
        found += [("Secret", each["secretRef"]["name"]) for each in container.get("envFrom", ())]
    return found


def test_every_mount_has_its_volume_and_every_setting_stands_once(rendered: Any) -> None:
    for name, template in rendered.pods():
        spec = template["spec"]
        volumes = {volume["name"] for volume in spec.get("volumes", ())}
        claims = {"data"} if name.startswith("StatefulSet") else set()
        for container in (*spec.get("initContainers", ()), *spec["containers"]):
            mounts = [mount["name"] for mount in container.get("volumeMounts", ())]
            assert set(mounts) <= volumes | claims, name
            settings = [setting["name"] for setting in container.get("env", ())]
            assert sorted(settings) == sorted(set(settings)), name


def test_selectors_meet_their_pods_and_services_their_ports(rendered: Any) -> None:
    pods = dict(rendered.pods())
    for each in rendered.of_kind("Deployment", "StatefulSet"):
        name = f"{each['kind']}/{each['metadata']['name']}"
        wanted = each["spec"]["selector"]["matchLabels"].items()
        hit = [key for key, template in pods.items() if wanted <= _labels(template).items()]
        assert hit == [name]
    for service in rendered.of_kind("Service"):
        wanted = service["spec"]["selector"].items()
        (hit,) = [each for each in pods.values() if wanted <= _labels(each).items()]
        ports = {port["name"] for c in hit["spec"]["containers"] for port in c["ports"]}
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= ports


def _labels(template: Json) -> dict[str, str]:
    labels: dict[str, str] = template["metadata"]["labels"]
    return labels
