"""Everything that users may say in two places is rendered once, and what they say wins."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import yaml

from chart.tools import Helm

Json = dict[str, Any]
PARTS = ("api", "courier", "worker", "operator", "redis", "retention", "tests")
# All that has containers, on.
EVERYTHING: Json = {
    "redis": {"exporter": {"enabled": True}, "keyPrefix": "one"},
    "store": {"type": "gcs", "url": "gs://bucket/asr", "existingSecret": "bucket"},
    "monitoring": {"scrape": {"enabled": True}, "dashboards": {"enabled": True}},
    "courier": {"allowPrivateUrls": ["10.0.0.0/8"]},
    "api": {
        "rootPath": "/asr",
        "corsOrigins": ["https://app.example.com"],
        "trustedProxies": ["10.0.0.0/8"],
    },
    "worker": {
        "model": {
            "archive": {"url": "https://models.example/m.tar", "sha256": "a" * 64},
            "revision": "v2",
            "mirrors": ["/mirror"],
            "precision": "int8",
            "punctuation": "p",
            "voiceActivity": "v",
            "speakers": "s",
        },
        "batchSize": 100,
    },
    "pools": [
        {"name": "default"},
        {"name": "large", "gpu": {"enabled": True}},
        {
            "name": "remote",
            "model": {"engine": "remote", "archive": None},
            "remote": {
                "url": "http://vllm:8000/v1",
                "model": "m",
                "existingSecret": "vllm",
                "concurrency": 32,
                "timeoutSeconds": 60,
            },
        },
    ],
}
# Which places of settings count for a container, the last one most.
PLACES = {
    "api": ("settings", "store", "api"),
    "courier": ("settings", "store", "courier"),
    "worker": ("settings", "store", "worker", "pool"),
    "model": ("settings", "worker", "pool"),
    "operator": ("settings", "operator"),
    "recordings": ("settings", "store", "retention"),
    "results": ("settings", "store", "retention"),
    "reconcile": ("settings", "store", "retention"),
    "transcribe": ("tests",),
    "exporter": ("exporter",),
    "redis": (),
}


def merged(*values: Json) -> Json:
    """As helm merges values files: the later one wins."""
    result: Json = {}
    for each in values:
        for name, value in each.items():
            old = result.get(name)
            both = isinstance(old, dict) and isinstance(value, dict)
            result[name] = merged(old, value) if both else value
    return result


def rendered_with(render: Any, folder: Path, *values: Json) -> Any:
    # What is rendered is kept by its arguments, so each file has a name of its own.
    path = folder / f"values-{len(list(folder.iterdir()))}.json"
    path.write_text(json.dumps(merged(*values)))
    return render("-f", str(path))


def names_written_by(made: Any) -> set[str]:
    return {e["name"] for _, container in made.containers() for e in container.get("env", ())}


def owned(chart: Path) -> Json:
    """Settings that the chart alone writes, and what to set in their place."""
    text = (chart / "templates/_checks_env.tpl").read_text()
    listed = text.partition('"asr.env.owned" -}}')[2].partition("{{- end -}}")[0]
    found: Json = yaml.safe_load(listed)
    return found


def twice(names: Iterable[Any]) -> list[Any]:
    return [name for name, count in Counter(names).items() if count > 1]


def duplicates(made: Any) -> list[str]:
    """What server-side apply refuses: list entries with the same key."""
    found = []
    for name, template in made.pods():
        spec = template["spec"]
        inits, containers = spec.get("initContainers", []), spec["containers"]
        lists = {
            "containers": [each["name"] for each in (*inits, *containers)],
            "volumes": [each["name"] for each in spec.get("volumes", ())],
            "hostAliases": [each["ip"] for each in spec.get("hostAliases", ())],
            "imagePullSecrets": [each["name"] for each in spec.get("imagePullSecrets", ())],
            "ports of the pod": [
                port["containerPort"] for each in containers for port in each.get("ports", ())
            ],
            "topologySpreadConstraints": [
                (each["topologyKey"], each["whenUnsatisfiable"])
                for each in spec.get("topologySpreadConstraints", ())
            ],
        }
        for each in (*inits, *containers):
            lists[f"{each['name']}: env"] = [e["name"] for e in each.get("env", ())]
            mounts = each.get("volumeMounts", ())
            lists[f"{each['name']}: mountPath"] = [m["mountPath"].rstrip("/") for m in mounts]
            lists[f"{each['name']}: names of ports"] = [p["name"] for p in each.get("ports", ())]
        found += [f"{name}: {what}: {twice(keys)}" for what, keys in lists.items() if twice(keys)]
    return found


def everywhere(names: Iterable[str]) -> Json:
    """Each of these settings said in each place, which stands as its value."""

    def said(place: str) -> dict[str, str]:
        return dict.fromkeys(names, place)

    return {
        "settings": said("settings"),
        "store": {"env": said("store")},
        "redis": {"exporter": {"env": said("exporter")}},
        **{part: {"env": said(part)} for part in PARTS if part != "redis"},
        "pools": [{**pool, "env": said("pool")} for pool in EVERYTHING["pools"]],
    }


def test_every_setting_said_everywhere_stands_once_and_the_nearest_place_wins(
    render: Any, tmp_path: Path, chart_folder: Path
) -> None:
    chosen = names_written_by(rendered_with(render, tmp_path, EVERYTHING)) - owned(
        chart_folder
    ).keys() | {"HTTPS_PROXY", "AWS_REGION", "HF_TOKEN", "http_proxy"}
    assert {"ASR_LOG_FORMAT", "HF_HOME", "HOME", "ASR_PRECISION", "MODEL_URL"} <= chosen
    made = rendered_with(render, tmp_path, EVERYTHING, everywhere(sorted(chosen)))
    assert duplicates(made) == []
    seen = set()
    for name, container in made.containers():
        told = {each["name"]: each.get("value") for each in container.get("env", ())}
        places = PLACES[container["name"]]
        seen.add(container["name"])
        if places:
            assert {told[each] for each in chosen} == {places[-1]}, name
    assert seen == PLACES.keys()


def test_a_setting_that_the_chart_must_write_is_refused_with_the_value_to_set(
    any_helm: Helm, chart_folder: Path, render: Any, tmp_path: Path
) -> None:
    """In every place, each of them; and none is listed that does not exist."""
    listed = owned(chart_folder)
    external = {"redis": {"enabled": False, "external": {"existingSecret": "r", "caKey": "ca"}}}
    everything = {**EVERYTHING, "redis": {"keyPrefix": "one"}}
    written = names_written_by(rendered_with(render, tmp_path, EVERYTHING))
    written |= names_written_by(rendered_with(render, tmp_path, everything, external))
    never = {"ASR_API_HOST", "REDIS_URL", "ASR_WORKER_NAME", "ASR_OPERATOR_NAME"}
    never |= {"REDIS_TLS", "REDIS_SENTINELS"}
    never |= {"ASR_OFFLINE"}  # not together with an archive, see test_chart_models
    never |= {"REDIS_DB", "REDIS_USERNAME", "REDIS_CERT_FILE", "REDIS_KEY_FILE"}
    assert listed.keys() - never <= written
    for place in ("settings", "store.env", "api.env", "worker.env", "retention.env", "tests.env"):
        tried = any_helm.run("template", "asr", str(chart_folder), "--set", f"{place}.ASR_POOL=x")
        assert f"{place} has ASR_POOL, which the chart writes itself" in tried.stderr
    pool = "pools[0].name=default,pools[0].env.ASR_METRICS_PORT=1"
    tried = any_helm.run("template", "asr", str(chart_folder), "--set", pool)
    assert "env of the pool default has ASR_METRICS_PORT" in tried.stderr


def test_a_setting_may_come_from_a_secret_and_refer_to_another(render: Any, tmp_path: Path) -> None:
    token = {"valueFrom": {"secretKeyRef": {"name": "hub", "key": "token"}}}
    values = {
        "settings": {"HF_TOKEN": token, "A_URL": "http://$(ZONE)/", "ZONE": "eu", "BIG": 1000000},
        "worker": {"env": {"HALF": 0.5, "ON": True}},
    }
    (container,) = rendered_with(render, tmp_path, values).find("Deployment", "asr-worker-default")[
        "spec"
    ]["template"]["spec"]["containers"]
    told = {each["name"]: each for each in container["env"]}
    assert told["HF_TOKEN"] == {"name": "HF_TOKEN", **token}
    # A number of a values file is one that programs read.
    assert [told[name]["value"] for name in ("BIG", "HALF", "ON")] == ["1000000", "0.5", "true"]
    order = list(told)
    # Kubernetes puts in only what stands before.
    assert order.index("ZONE") < order.index("A_URL")


def test_labels_and_annotations_said_everywhere_stand_once(render: Any, tmp_path: Path) -> None:
    def said(place: str) -> dict[str, str]:
        return {"app.kubernetes.io/version": place, "team": place, "helm.sh/chart": place}

    part = {name: said(name) for name in ("labels", "podLabels")}
    part["annotations"] = part["podAnnotations"] = {"checksum/config": "x", "note": "y"}
    values = {
        "commonLabels": said("common"),
        "commonAnnotations": {"note": "common", "helm.sh/resource-policy": "delete"},
        "monitoring": {"labels": said("monitoring"), "dashboards": {"labels": said("boards")}},
        "workloads": part,
        **dict.fromkeys(PARTS, part),
        "pools": [{"name": "default", **part}],
    }
    made = rendered_with(render, tmp_path, EVERYTHING, values)
    for name, template in made.pods():
        labels = template["metadata"]["labels"]
        if not name.startswith("Pod/"):
            assert labels["team"] == "podLabels", name
        assert labels["app.kubernetes.io/instance"] == "asr"
    redis = made.find("StatefulSet", "asr-redis")
    assert redis["metadata"]["labels"]["team"] == "labels"
    assert len(redis["spec"]["template"]["metadata"]["annotations"]["checksum/config"]) == 64
    for claim in made.of_kind("PersistentVolumeClaim"):
        assert claim["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"
    for each in made.objects:
        if each["kind"] != "CustomResourceDefinition":
            assert each["metadata"]["annotations"]["note"] in ("common", "y"), each["metadata"]


def test_volumes_mounts_and_containers_of_ones_own_stand_once(render: Any, tmp_path: Path) -> None:
    """Also where they are called as those of the chart, and where two places say the same."""
    ours = rendered_with(render, tmp_path, EVERYTHING)
    volumes = {v["name"] for _, t in ours.pods() for v in t["spec"].get("volumes", ())}
    volumes |= {"data", "mine"}
    paths = {m["mountPath"] for _, c in ours.containers() for m in c["volumeMounts"]}
    part = {
        "extraVolumes": [{"name": name, "emptyDir": {"medium": "Memory"}} for name in volumes],
        "extraVolumeMounts": [{"name": "mine", "mountPath": f"{path}/"} for path in paths],
        "initContainers": [{"name": "before", "image": "busybox:1"}],
        "sidecars": [{"name": "beside", "image": "busybox:1"}],
        "hostAliases": [{"ip": "10.0.0.1", "hostnames": ["store"]}],
        "tolerations": [{"key": "gpu", "operator": "Exists"}],
    }
    values = {
        "workloads": part,
        **dict.fromkeys(PARTS, part),
        "pools": [{"name": "default", **part}],
        "imagePullSecrets": [{"name": "a"}],
        "global": {"imagePullSecrets": ["a", {"name": "b"}]},
    }
    made = rendered_with(render, tmp_path, EVERYTHING, values)
    assert duplicates(made) == []
    for name, template in made.pods():
        spec = template["spec"]
        inits = [each["name"] for each in spec["initContainers"]]
        assert inits[:2] == ["beside", "before"], name
        assert spec["initContainers"][0]["restartPolicy"] == "Always"
        assert [each["name"] for each in spec["imagePullSecrets"]] == ["a", "b"]
        for container in spec["containers"]:
            assert {m["name"] for m in container["volumeMounts"]} == {"mine"}, name


@pytest.mark.parametrize("key", ["nodeSelector", "podAnnotations", "podLabels"])
def test_what_all_workloads_have_is_merged_with_what_one_has(
    render: Any, tmp_path: Path, key: str
) -> None:
    values = {
        "workloads": {key: {"a": "all", "b": "all"}},
        **{name: {key: {"b": name}} for name in PARTS},
    }
    for name, template in rendered_with(render, tmp_path, values).pods():
        found = template["spec"] if key == "nodeSelector" else template["metadata"]
        found = found[{"podLabels": "labels", "podAnnotations": "annotations"}.get(key, key)]
        assert found["a"] == "all", name
        assert found["b"] in PARTS, name
