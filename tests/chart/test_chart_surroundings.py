"""What people's clusters ask for, said once and rendered in every pod."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from asr_api.access.keyless import KnownHosts
from asr_api.settings.api import ApiSettings
from chart.tools import Helm

Json = dict[str, Any]
PARTS = ("api", "courier", "worker", "operator", "redis", "retention", "tests")


def values_file(folder: Path, values: Json) -> str:
    path = folder / f"values-{len(list(folder.iterdir()))}.json"
    path.write_text(json.dumps(values))
    return str(path)


def env_of(container: Json) -> dict[str, Json]:
    return {each["name"]: each for each in container.get("env", ())}


def test_what_all_workloads_have_stands_in_every_pod(render: Any, tmp_path: Path) -> None:
    """Deployments, the StatefulSet, CronJobs, and the test's pod."""
    spread = {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"}
    fields: Json = {
        "nodeSelector": {"disk": "fast"},
        "tolerations": [{"key": "speech", "operator": "Exists"}],
        "affinity": {"podAntiAffinity": {}},
        "priorityClassName": "high",
        "schedulerName": "volcano",
        "dnsPolicy": "None",
        "dnsConfig": {"nameservers": ["fd00::53"], "searches": ["example"]},
        "hostAliases": [{"ip": "10.0.0.1", "hostnames": ["store"]}],
    }
    volume = {"name": "mine", "configMap": {"name": "mine"}}
    mount = {"name": "mine", "mountPath": "/mine"}
    everywhere = {
        **fields,
        "labels": {"team": "speech"},
        "annotations": {"reloader": "auto"},
        "podLabels": {"team": "speech"},
        "podAnnotations": {"scan": "no"},
        "topologySpreadConstraints": [spread],
        "extraVolumes": [volume],
        "extraVolumeMounts": [mount],
        "envFrom": [{"secretRef": {"name": "hub-tokens"}}],
    }
    pulled = [{"name": "registry"}]
    made = render(
        "-f", values_file(tmp_path, {"workloads": everywhere, "imagePullSecrets": pulled})
    )
    assert len(list(made.pods())) == 9
    for name, template in made.pods():
        spec, metadata = template["spec"], template["metadata"]
        assert {field: spec.get(field) for field in fields} == fields, name
        assert spec["imagePullSecrets"] == pulled, name
        assert metadata["labels"]["team"] == "speech", name
        assert metadata["annotations"]["scan"] == "no", name
        (constraint,) = spec["topologySpreadConstraints"]
        wanted = constraint["labelSelector"]["matchLabels"].items()
        assert wanted <= metadata["labels"].items(), name
        assert volume in spec["volumes"], name
        for container in spec["containers"]:
            assert mount in container["volumeMounts"], name
            ours = container["name"] in ("api", "courier", "worker", "operator", "recordings")
            assert (container.get("envFrom") == everywhere["envFrom"]) or not ours, name
    for each in made.of_kind("Deployment", "StatefulSet", "CronJob", "Job"):
        assert each["metadata"]["labels"]["team"] == "speech"
        assert each["metadata"]["annotations"]["reloader"] == "auto"


@pytest.mark.parametrize("part", PARTS)
def test_one_part_may_have_what_the_others_lack(render: Any, tmp_path: Path, part: str) -> None:
    own = {"tolerations": [{"key": "x"}], "dnsPolicy": "Default", "schedulerName": "mine"}
    made = render("-f", values_file(tmp_path, {part: own}))
    having = {
        template["metadata"]["labels"]["app.kubernetes.io/component"]
        for _, template in made.pods()
        if template["spec"].get("schedulerName") == "mine"
    }
    beside = {"tests": {"test"}}
    assert having == beside.get(part, {part})


def test_a_default_spread_can_be_switched_off(render: Any) -> None:
    def constraints(*arguments: str) -> Any:
        spec = render(*arguments).find("Deployment", "asr-api")["spec"]["template"]["spec"]
        return spec.get("topologySpreadConstraints")

    assert len(constraints()) == 2
    assert constraints("--set-json", "api.topologySpreadConstraints=[]") is None
    assert constraints("--set-json", "workloads.topologySpreadConstraints=[]") is None


def test_every_object_is_in_the_namespace_that_is_named(render: Any) -> None:
    made = render("--set", "namespaceOverride=other,monitoring.scrape.enabled=true")
    for each in made.objects:
        if each["kind"] != "CustomResourceDefinition":
            assert each["metadata"]["namespace"] == "other", each["metadata"]["name"]
        for subject in each.get("subjects", ()):
            assert subject["namespace"] == "other"
    operator = made.find("Deployment", "asr-operator")["spec"]["template"]["spec"]
    assert env_of(operator["containers"][0])["ASR_WATCH_NAMESPACES"]["value"] == "other"


def test_a_registry_for_all_stands_before_images_that_name_none(render: Any) -> None:
    made = render(
        "--set", "global.imageRegistry=mirror.example:5000/hub,redis.exporter.enabled=true"
        ",images.worker.repository=ghcr.io/me/worker,images.operator.repository=mine/operator",
    )  # fmt: skip
    images = {container["name"]: container["image"] for _, container in made.containers()}
    assert images["api"] == "mirror.example:5000/hub/asr-platform-api:0.1.0"
    assert images["redis"] == "mirror.example:5000/hub/redis:7.2-bookworm"
    assert images["operator"] == "mirror.example:5000/hub/mine/operator:0.1.0"
    assert images["worker"] == "ghcr.io/me/worker:0.1.0-cpu"


def test_a_redis_by_host_takes_its_password_from_a_secret(render: Any) -> None:
    host = "redis.enabled=false,redis.external.host=cache.example,redis.external.port=6380"
    made = render("--set", f"{host},redis.external.existingSecret=redis,redis.external.db=3")
    for name, container in made.containers():
        told = env_of(container)
        if "ASR_POOLS" not in told:
            continue
        assert told["ASR_REDIS_URL"]["value"] == "redis://cache.example:6380/3", name
        source = told["REDIS_PASSWORD"]["valueFrom"]["secretKeyRef"]
        assert source == {"name": "redis", "key": "password"}
        assert not told.keys() & {"REDIS_HOST", "REDIS_USERNAME", "REDIS_CA_FILE"}
    without = render("--set", f"{host},redis.external.tls=true,redis.external.username=asr")
    told = env_of(next(c for _, c in without.containers() if c["name"] == "api"))
    assert told["ASR_REDIS_URL"]["value"] == "rediss://cache.example:6380/0"
    assert told["REDIS_USERNAME"]["value"] == "asr"
    assert "REDIS_PASSWORD" not in told


def test_a_certificate_of_ones_own_is_mounted_where_programs_look_for_it(render: Any) -> None:
    made = render(
        "--set", "redis.enabled=false,redis.external.existingSecret=url,redis.external.caKey=ca"
        ",redis.external.tlsSecret=certificates,redis.external.certKey=c,redis.external.keyKey=k",
    )  # fmt: skip
    for name, template in made.pods():
        (container,) = template["spec"]["containers"]
        told = {key: each.get("value") for key, each in env_of(container).items()}
        if "ASR_POOLS" not in told:
            continue
        files = [told[f"REDIS_{which}_FILE"] for which in ("CA", "CERT", "KEY")]
        assert files == [f"/etc/asr-redis/{file}" for file in ("ca.crt", "tls.crt", "tls.key")]
        (volume,) = [v for v in template["spec"]["volumes"] if v["name"] == "redis-tls"]
        assert volume["secret"]["secretName"] == "certificates", name
        assert {item["key"]: item["path"] for item in volume["secret"]["items"]} == {
            "ca": "ca.crt", "c": "tls.crt", "k": "tls.key",
        }  # fmt: skip


def test_services_have_the_families_of_addresses_that_are_asked_for(render: Any) -> None:
    for service in render().of_kind("Service"):
        assert not service["spec"].keys() & {"ipFamilyPolicy", "ipFamilies"}
    asked = "ipFamilyPolicy=PreferDualStack,ipFamilies={IPv6,IPv4}"
    services = render("--set", asked).of_kind("Service")
    assert len(services) == 2
    for service in services:
        assert service["spec"]["ipFamilyPolicy"] == "PreferDualStack"
        assert service["spec"]["ipFamilies"] == ["IPv6", "IPv4"]


def test_a_load_balancer_is_as_its_controller_wants_it(render: Any) -> None:
    made = render(
        "--set", "api.service.type=LoadBalancer,api.service.loadBalancerClass=mine.example/nlb"
        ",api.service.nodePort=30080,api.service.externalTrafficPolicy=Local"
        ",api.service.loadBalancerSourceRanges={10.0.0.0/8},api.service.labels.expose=yes",
    )  # fmt: skip
    service = made.find("Service", "asr-api")
    assert service["metadata"]["labels"]["expose"] == "yes"
    wanted = {
        "type": "LoadBalancer", "loadBalancerClass": "mine.example/nlb",
        "externalTrafficPolicy": "Local", "loadBalancerSourceRanges": ["10.0.0.0/8"],
    }  # fmt: skip
    assert wanted.items() <= service["spec"].items()
    assert service["spec"]["ports"][0]["nodePort"] == 30080


def test_a_route_of_a_gateway_leads_where_an_ingress_does(render: Any) -> None:
    made = render(
        "--set", "api.ingress.enabled=true,api.httpRoute.enabled=true"
        ",api.httpRoute.parentRefs[0].name=public,api.service.port=8080",
    )  # fmt: skip
    (route,), (ingress,) = made.of_kind("HTTPRoute"), made.of_kind("Ingress")
    (rule,) = route["spec"]["rules"]
    paths = {(m["path"]["type"].replace("Path", ""), m["path"]["value"]) for m in rule["matches"]}
    theirs = ingress["spec"]["rules"][0]["http"]["paths"]
    assert paths == {(each["pathType"], each["path"]) for each in theirs}
    assert rule["backendRefs"] == [{"name": "asr-api", "port": 8080}]
    assert route["spec"]["parentRefs"] == [{"name": "public"}]


def test_a_path_stands_before_all_that_leads_to_the_api_and_is_told_to_its_links(
    render: Any,
) -> None:
    made = render(
        "--set", "api.ingress.enabled=true,api.httpRoute.enabled=true,api.rootPath=/tools/asr"
        ",api.httpRoute.parentRefs[0].name=public",
    )  # fmt: skip
    (route,), (ingress,) = made.of_kind("HTTPRoute"), made.of_kind("Ingress")
    paths = {each["path"] for each in ingress["spec"]["rules"][0]["http"]["paths"]}
    assert {"/tools/asr", "/tools/asr/", "/tools/asr/api", "/tools/asr/v1"} < paths
    assert {m["path"]["value"] for m in route["spec"]["rules"][0]["matches"]} == paths
    assert not [path for path in paths if not path.startswith("/tools/asr")]
    told = {name: env_of(c).get("ASR_ROOT_PATH", {}).get("value") for name, c in made.containers()}
    assert {name.rpartition("/")[2] for name, path in told.items() if path == "/tools/asr"} == {
        "api",
        "courier",
    }


def test_origins_and_proxies_are_told_to_the_api(render: Any) -> None:
    made = render(
        "--set", "api.corsOrigins={https://app.example.com,http://localhost:5173}"
        ",api.trustedProxies={10.0.0.0/8,fd00::7}",
    )  # fmt: skip
    (env,) = [env_of(c) for _, c in made.containers() if c["name"] == "api"]
    told = {name: env[name]["value"] for name in ("ASR_CORS_ORIGINS", "ASR_TRUSTED_PROXIES")}
    assert told["ASR_CORS_ORIGINS"] == "https://app.example.com,http://localhost:5173"
    assert told["ASR_TRUSTED_PROXIES"] == "10.0.0.0/8,fd00::7"
    settings = ApiSettings(
        _env_file=None,
        cors_origins=told["ASR_CORS_ORIGINS"],
        trusted_proxies=told["ASR_TRUSTED_PROXIES"],
    )
    assert len(settings.cors_origins) == len(settings.trusted_proxies) == 2


def test_the_api_is_told_every_name_that_it_is_called_by(render: Any) -> None:
    made = render(
        "--set", "auth.mode=off,clusterDomain=corp.example,namespaceOverride=speech"
        ",api.ingress.enabled=true,api.ingress.host=asr.example.org"
        ",api.httpRoute.enabled=true,api.httpRoute.parentRefs[0].name=public"
        ",api.httpRoute.hostnames={*.route.example},api.allowedHosts={old.example}",
    )  # fmt: skip
    (env,) = [env_of(c) for _, c in made.containers() if c["name"] == "api"]
    settings = ApiSettings(_env_file=None, allowed_hosts=env["ASR_ALLOWED_HOSTS"]["value"])
    known = KnownHosts(settings.allowed_hosts)
    (service,) = [s for s in made.of_kind("Service") if s["metadata"]["name"].endswith("-api")]
    name = service["metadata"]["name"]
    for host in (
        name, f"{name}.speech", f"{name}.speech.svc", f"{name}.speech.svc.corp.example",
        "asr.example.org", "a.route.example", "old.example", "10.1.2.3", "fd00::7",
    ):  # fmt: skip
        assert known.knows(host), host
    for host in ("evil.example", f"{name}.other", f"{name}.speech.svc.evil.example"):
        assert not known.knows(host), host
    (test,) = [env_of(c) for _, c in made.containers() if c["name"] == "transcribe"]
    assert known.knows(urlsplit(test["ASR_SERVER"]["value"]).hostname or "")


def test_a_drain_leaves_pods_of_each_part(render: Any) -> None:
    asked = "courier.replicas=3,courier.podDisruptionBudget.minAvailable=2"
    made = render("--set", f"{asked},worker.podDisruptionBudget.enabled=true")
    budgets = {
        each["metadata"]["name"]: each["spec"] for each in made.of_kind("PodDisruptionBudget")
    }
    assert budgets.keys() == {"asr-api", "asr-courier", "asr-operator", "asr-worker-default"}
    assert budgets["asr-courier"].get("maxUnavailable") is None
    assert budgets["asr-courier"]["minAvailable"] == 2
    for budget in budgets.values():
        wanted = budget["selector"]["matchLabels"].items()
        meant = [t for _, t in made.pods() if wanted <= t["metadata"]["labels"].items()]
        assert len(meant) == 1


def test_a_second_operator_stands_by_while_one_is_replaced(render: Any) -> None:
    operator = render("--set", "operator.replicas=2").find("Deployment", "asr-operator")
    assert operator["spec"]["replicas"] == 2
    assert operator["spec"]["strategy"] == {"rollingUpdate": {"maxUnavailable": 1, "maxSurge": 0}}


def test_a_model_is_fetched_by_the_way_out_that_its_worker_has(render: Any, tmp_path: Path) -> None:
    values = {
        "settings": {"HTTPS_PROXY": "http://proxy:3128"},
        "caBundle": {"configMap": "ours"},
        "worker": {
            "env": {"NO_PROXY": ".svc"},
            "envFrom": [{"secretRef": {"name": "proxy"}}],
            "model": {"archive": {"url": "https://models.example/m.tar", "sha256": "a" * 64}},
        },
    }
    made = render("-f", values_file(tmp_path, values))
    spec = made.find("Deployment", "asr-worker-default")["spec"]["template"]["spec"]
    (init,) = spec["initContainers"]
    told = {name: each["value"] for name, each in env_of(init).items()}
    assert told["HTTPS_PROXY"] == "http://proxy:3128"
    assert told["NO_PROXY"] == ".svc"
    assert init["envFrom"] == [{"secretRef": {"name": "proxy"}}]
    assert told["SSL_CERT_FILE"] == "/etc/asr-authorities/ca.crt"
    assert "/etc/asr-authorities" in [mount["mountPath"] for mount in init["volumeMounts"]]
    assert "REDIS_PASSWORD" not in told


def test_on_openshift_no_pod_names_a_user(render: Any) -> None:
    made = render("-f", "values-openshift.yaml", "--set", "redis.exporter.enabled=true")
    for name, template in made.pods():
        contexts = [template["spec"]["securityContext"]]
        contexts += [container["securityContext"] for container in template["spec"]["containers"]]
        for context in contexts:
            assert not context.keys() & {"runAsUser", "runAsGroup", "fsGroup"}, name


def test_a_chart_that_has_this_one_as_a_dependency_switches_it(
    any_helm: Helm, chart_folder: Path, tmp_path: Path
) -> None:
    """By `condition`, under another name too, and with values for all its charts."""
    parent = tmp_path / "parent"
    shutil.copytree(chart_folder, parent / "charts" / "asr-platform")
    (parent / "templates").mkdir()
    (parent / "templates/mine.yaml").write_text(
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: mine\n"
    )
    wanted = {"name": "asr-platform", "version": "*", "alias": "speech"}
    chart = {"apiVersion": "v2", "name": "parent", "version": "0.0.1"}
    chart["dependencies"] = [{**wanted, "condition": "speech.enabled"}]  # type: ignore[assignment]
    (parent / "Chart.yaml").write_text(yaml.safe_dump(chart))

    def images(*sets: str) -> set[str]:
        made = any_helm.run("template", "asr", str(parent), "--set", ",".join(sets))
        assert made.returncode == 0, made.stderr
        objects = [each for each in yaml.safe_load_all(made.stdout) if each]
        assert "mine" in [each["metadata"]["name"] for each in objects]
        return {
            container["image"].partition("/")[0]
            for each in objects
            if each["kind"] == "Deployment"
            for container in each["spec"]["template"]["spec"]["containers"]
        }

    assert images("speech.enabled=false") == set()
    assert images("speech.enabled=true", "global.imageRegistry=mirror.example") == {
        "mirror.example"
    }
