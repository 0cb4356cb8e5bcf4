"""What the chart makes of values: workers, operator, retention, network, uninstall."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from chart.tools import Helm

ROOT = Path(__file__).parents[2]
Json = dict[str, Any]


def environment(container: Json) -> dict[str, Any]:
    return {each["name"]: each.get("value") for each in container.get("env", ())}


def workers(rendered: Any) -> list[Json]:
    return [
        each
        for each in rendered.of_kind("Deployment")
        if each["metadata"]["labels"]["app.kubernetes.io/component"] == "worker"
    ]


def test_a_worker_has_time_to_drain_and_a_name(rendered: Any) -> None:
    for deployment in workers(rendered):
        spec = deployment["spec"]["template"]["spec"]
        (container,) = spec["containers"]
        grace = int(environment(container)["ASR_GRACE_SECONDS"])
        assert spec["terminationGracePeriodSeconds"] >= grace + 10
        (name,) = [each for each in container["env"] if each["name"] == "POD_NAME"]
        assert name["valueFrom"]["fieldRef"]["fieldPath"] == "metadata.name"
        assert {"startupProbe", "readinessProbe", "livenessProbe"} <= set(container)


def test_each_pool_has_its_own_workers_settings_and_resource(render: Any) -> None:
    made = render(
        "--set", "pools[0].name=default,pools[1].name=large,pools[1].gpu.enabled=true"
        ",pools[1].gpu.count=2,pools[1].model.name=iic/SenseVoiceSmall,pools[1].model.revision=v2"
        ",pools[1].model.engine=automodel,pools[1].model.punctuation=ct-punc"
        ",pools[1].model.voiceActivity=fsmn-vad,pools[1].model.speakers=cam"
        ",pools[1].runtimeClassName=nvidia,pools[1].scaling.minReplicas=1",
    )  # fmt: skip
    small, large = (each["spec"]["template"]["spec"] for each in workers(made))
    assert environment(small["containers"][0])["ASR_USE_GPU"] == "false"
    assert "nvidia.com/gpu" not in small["containers"][0]["resources"]["limits"]
    assert small["containers"][0]["image"].endswith("-cpu")
    told = environment(large["containers"][0])
    assert (told["ASR_POOL"], told["ASR_MODEL"]) == ("large", "iic/SenseVoiceSmall")
    assert (told["ASR_MODEL_REVISION"], told["ASR_USE_GPU"]) == ("v2", "true")
    assert told["ASR_POOLS"] == "default,large"
    helpers = ("ASR_PUNC_MODEL", "ASR_VAD_MODEL", "ASR_SPEAKER_MODEL")
    assert [told[name] for name in helpers] == ["ct-punc", "fsmn-vad", "cam"]
    assert not environment(small["containers"][0]).keys() & set(helpers)
    assert large["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == 2
    assert large["runtimeClassName"] == "nvidia"
    _, pool = made.worker_pools()
    assert pool["metadata"]["name"] == "asr-worker-large"
    assert pool["spec"]["pool"] == "large"
    assert pool["spec"]["scaling"]["minReplicas"] == 1
    assert pool["spec"]["scaling"]["maxReplicas"] == 8


def test_a_pool_may_say_no_where_all_say_yes(render: Any) -> None:
    own = "pools[0].name=default,pools[0].gpu.enabled=false"
    made = render("--set", f"worker.gpu.enabled=true,{own}")
    told = environment(workers(made)[0]["spec"]["template"]["spec"]["containers"][0])
    assert told["ASR_USE_GPU"] == "false"


def test_the_api_has_replicas_or_an_autoscaler_and_never_both(rendered: Any) -> None:
    (api,) = [e for e in rendered.of_kind("Deployment") if e["metadata"]["name"].endswith("-api")]
    assert ("replicas" in api["spec"]) is not bool(rendered.of_kind("HorizontalPodAutoscaler"))


def test_redis_is_a_database_and_its_password_stands_in_no_command_line(render: Any) -> None:
    made = render()
    config = made.find("ConfigMap", "asr-redis")["data"]["redis.conf"]
    for line in ("appendonly yes", "appendfsync always", "maxmemory-policy noeviction"):
        assert line in config
    redis = made.find("StatefulSet", "asr-redis")
    assert "$REDIS_PASSWORD" in redis["spec"]["template"]["spec"]["containers"][0]["command"][2]
    secret = made.find("Secret", "asr-redis")["data"]["password"]
    assert len(secret) > 40


def test_retention_runs_alone_and_leaves_few_jobs_behind(rendered: Any) -> None:
    jobs = rendered.of_kind("CronJob")
    for job in jobs:
        assert job["spec"]["concurrencyPolicy"] == "Forbid"
        assert job["spec"]["successfulJobsHistoryLimit"] <= 3
        assert job["spec"]["failedJobsHistoryLimit"] <= 3
    if rendered.case == "plain":
        assert {job["metadata"]["name"].rpartition("-")[2] for job in jobs} == {
            *("recordings", "results", "reconcile")
        }


def test_a_limit_of_retention_that_is_null_is_lifted_and_zero_is_kept(render: Any) -> None:
    made = render(
        "--set-json", "retention.results.maxAgeDays=null", "--set", "retention.recordings.max=0"
    )

    def told(job: str) -> dict[str, Any]:
        spec = made.find("CronJob", f"asr-{job}")["spec"]["jobTemplate"]["spec"]
        return environment(spec["template"]["spec"]["containers"][0])

    assert told("results")["ASR_RESULTS_MAX_AGE_DAYS"] == ""
    assert told("results")["MAX_RECORDINGS"] == ""
    assert told("recordings")["MAX_RECORDINGS"] == "0"
    assert told("recordings")["ASR_RESULTS_MAX_AGE_DAYS"] == ""


def test_the_api_knows_what_the_jobs_of_retention_delete(render: Any) -> None:
    names = ("MAX_RECORDINGS", "ASR_RECORDINGS_MIN_AGE_MINUTES", "ASR_RESULTS_MAX_AGE_DAYS")

    def told(*settings: str) -> list[str]:
        made = render(*(part for each in settings for part in ("--set", each)))
        spec = made.find("Deployment", "asr-api")["spec"]["template"]["spec"]
        return [environment(spec["containers"][0])[name] for name in names]

    assert told() == ["10", "60", "7"]
    assert told("retention.recordings.max=0") == ["0", "60", "7"]
    assert told("retention.results.enabled=false") == ["10", "60", ""]
    assert told("retention.enabled=false") == ["", "", ""]


def test_the_ingress_leads_to_every_route_but_metrics_and_probes(render: Any) -> None:
    made = render("--set", "api.ingress.enabled=true")
    (ingress,) = made.of_kind("Ingress")
    paths = ingress["spec"]["rules"][0]["http"]["paths"]
    schema = json.loads((ROOT / "docs/openapi.json").read_text())

    def reached(route: str) -> bool:
        return any(
            route == each["path"]
            or (each["pathType"] == "Prefix" and route.startswith(each["path"] + "/"))
            for each in paths
        )

    routes = (*schema["paths"], "/docs", "/openapi.json")
    assert {r for r in routes if not reached(r)} == {"/metrics", "/healthz", "/readyz"}


def test_every_pod_is_denied_what_it_does_not_need(rendered: Any) -> None:
    policies = rendered.of_kind("NetworkPolicy")
    if "networkPolicies.enabled=false" in rendered.case:
        assert policies == []
        return
    for name, template in rendered.pods():
        labels = template["metadata"]["labels"].items()
        meant = [
            policy
            for policy in policies
            if policy["spec"]["podSelector"]["matchLabels"].items() <= labels
        ]
        general = [policy for policy in meant if not {"ingress", "egress"} & set(policy["spec"])]
        assert len(general) == 1, name
        assert len(meant) >= 2, f"{name} may do nothing at all"
        for policy in meant:
            for rule in policy["spec"].get("egress", ()):
                assert rule.get("to") or rule.get("ports"), f"{name} may go anywhere"


def test_the_courier_reaches_the_world_and_no_private_network(render: Any) -> None:
    policy = render().find("NetworkPolicy", "asr-courier")
    (world,) = [rule for rule in policy["spec"]["egress"] if "ipBlock" in str(rule)]
    ipv4 = world["to"][0]["ipBlock"]
    assert ipv4["cidr"] == "0.0.0.0/0"
    assert {"10.0.0.0/8", "169.254.0.0/16", "127.0.0.0/8"} <= set(ipv4["except"])


def test_an_upgrade_keeps_generated_secrets_and_existing_ones_are_not_made(render: Any) -> None:
    text = (ROOT / "helm/asr-platform/templates/_names.tpl").read_text()
    assert 'lookup "v1" "Secret"' in text
    made = render(
        "--set", "redis.auth.existingSecret=a,auth.existingSecret=b"
        ",courier.webhookSecret.existingSecret=c",
    )  # fmt: skip
    assert made.of_kind("Secret") == []


def test_a_volume_of_uploads_is_larger_than_what_the_api_lets_in(render: Any) -> None:
    made = render("--set", "api.spool.maxGiB=3")
    spec = made.find("Deployment", "asr-api")["spec"]["template"]["spec"]
    (spool,) = [volume for volume in spec["volumes"] if volume["name"] == "spool"]
    assert environment(spec["containers"][0])["ASR_SPOOL_MAX_BYTES"] == str(3 * 1024**3)
    assert spool["emptyDir"]["sizeLimit"] == "4Gi"


def test_dashboards_are_found_by_grafanas_sidecar(render: Any) -> None:
    made = render("--set", "monitoring.dashboards.enabled=true")
    maps = made.of_kind("ConfigMap")
    boards = [each for each in maps if "grafana_dashboard" in each["metadata"]["labels"]]
    assert len(boards) == 3
    for board in boards:
        assert board["metadata"]["labels"]["grafana_dashboard"] == "1"
        (text,) = board["data"].values()
        assert json.loads(text)["panels"]


def test_every_part_that_counts_is_scraped(render: Any) -> None:
    made = render("--set", "monitoring.scrape.enabled=true,redis.exporter.enabled=true")
    monitors = made.of_kind("ServiceMonitor", "PodMonitor")
    parts = {each["metadata"]["labels"]["app.kubernetes.io/component"] for each in monitors}
    assert parts == {"api", "worker", "courier", "operator", "redis"}
    pods = [template for _, template in made.pods()]
    for monitor in made.of_kind("PodMonitor"):
        wanted = monitor["spec"]["selector"]["matchLabels"].items()
        hit = [each for each in pods if wanted <= each["metadata"]["labels"].items()]
        ports = {p["name"] for c in hit[0]["spec"]["containers"] for p in c["ports"]}
        assert monitor["spec"]["podMetricsEndpoints"][0]["port"] in ports


@pytest.mark.parametrize("profile", ["dev", "gpu", "ha", "openshift"])
def test_a_profile_says_nothing_that_is_said_already(profile: str, chart_folder: Path) -> None:
    values = yaml.safe_load((chart_folder / "values.yaml").read_text())
    own = yaml.safe_load((chart_folder / f"values-{profile}.yaml").read_text())

    def said_twice(theirs: Any, ours: Any, path: str) -> list[str]:
        if isinstance(ours, dict) and isinstance(theirs, dict):
            return [e for k, v in ours.items() for e in said_twice(theirs.get(k), v, f"{path}.{k}")]
        return [path] if ours == theirs else []

    allowed = {".worker.scaling.minReplicas", ".worker.scaling.targetWaitSeconds"}
    allowed |= {".redis.external.port"}
    assert set(said_twice(values, own, "")) - allowed == set()


def test_the_notes_give_the_next_three_commands(any_helm: Helm, chart_folder: Path) -> None:
    if any_helm.major < 4:
        pytest.skip("helm 3 shows notes only where there is a cluster")
    asked = ("install", "asr", str(chart_folder), "-n", "speech", "--dry-run=client")
    told = any_helm.run(*asked)
    assert told.returncode == 0, told.stderr
    notes = told.stdout.partition("NOTES:")[2]
    for number, command in enumerate(("kubectl -n speech", "curl -H", "curl -H"), start=1):
        step = notes.partition(f"\n{number}. ")[2].partition(f"\n{number + 1}. ")[0]
        assert command in step
    assert "{{" not in notes
    assert "get wp" in notes.rpartition("\n\n")[0].rpartition("format=text'\n\n")[2]
    without_operator = any_helm.run(*asked, "--set", "operator.enabled=false").stdout
    assert "get wp" not in without_operator.partition("NOTES:")[2]
    without_keys = any_helm.run(*asked, "--set", "auth.mode=off").stdout.partition("NOTES:")[2]
    assert "Authorization" not in without_keys
    assert "Anyone who reaches the API may use it" in without_keys


def test_nothing_that_is_rendered_keeps_to_one_family_of_addresses(rendered: Any) -> None:
    for name, container in rendered.containers():
        told = [*container.get("command", ()), *environment(container).values()]
        told += [json.dumps(container.get(f"{kind}Probe")) for kind in ("startup", "liveness")]
        found = [each for each in told if each and re.search(r"0\.0\.0\.0|127\.0\.0\.1", each)]
        assert found == [], name
        if "ASR_METRICS_PORT" in environment(container):
            assert environment(container)["ASR_METRICS_HOST"] == "::", name
        for kind in ("startupProbe", "readinessProbe", "livenessProbe"):
            assert "host" not in container.get(kind, {}).get("httpGet", {}), name
