"""The operator, its rights, its pools and their resource, and whose the workers' replicas are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from asr_operator.cluster.leader_election import LEASE_NAME, lease_name
from asr_operator.cluster.manifests import role_rules_text
from asr_operator.cluster.objects import STARTED_BY
from asr_operator.program import RELEASE_LABEL

ROOT = Path(__file__).parents[2]
Json = dict[str, Any]


def workers(rendered: Any) -> list[Json]:
    return [
        each
        for each in rendered.of_kind("Deployment")
        if each["metadata"]["labels"]["app.kubernetes.io/component"] == "worker"
    ]


def test_replicas_of_workers_belong_to_the_operator_which_starts_them(rendered: Any) -> None:
    """A manifest with replicas resets them at the next apply; one without gets one pod at first."""
    pools = {each["spec"]["scaleTargetRef"]["name"] for each in rendered.worker_pools()}
    by_hand = rendered.case == "scaled by hand"
    operated = rendered.case not in ("scaled by hand", "operator.enabled=false")
    for deployment in workers(rendered):
        assert ("replicas" in deployment["spec"]) is by_hand
        assert deployment["spec"].get("paused", False) is operated
        marked = (deployment["metadata"].get("annotations") or {}).get(STARTED_BY)
        assert (marked == "operator") is operated
    if pools:
        assert pools == {each["metadata"]["name"] for each in workers(rendered)}


def test_the_operator_may_change_only_what_the_release_has_and_read_no_secret_unless_named(
    render: Any,
) -> None:
    made = "pools[0].name=default,pools[1].name=large"
    own = ["asr-worker-default", "asr-worker-large"]
    rules = yaml.safe_load(role_rules_text())
    limited = {
        "workerpools/update": own,
        "deployments/patch": own,
        "deployments/scale/patch": own,
        "leases/get": [LEASE_NAME, lease_name("asr")],
    }
    wanted = [rule for rule in rules if rule["resources"] != ["secrets"]]
    assert wanted != rules
    for rule in wanted:
        if names := limited.pop(f"{rule['resources'][0]}/{rule['verbs'][0]}", None):
            rule["resourceNames"] = names
    assert limited == {}
    assert role(render, "--set", made) == wanted
    objects = role(render, "--set", f"{made},operator.poolsAs=objects")
    assert objects == [
        rule
        for rule in wanted
        if not _is(rule, "workerpools", "create") and not _is(rule, "workerpools", "update")
    ]
    elsewhere = role(render, "--set-json", 'pools=[],otherPools=["default"]')
    assert not any(
        rule["resources"][0].startswith("deployments") and rule["verbs"] == ["patch"]
        for rule in elsewhere
    )


def test_the_operators_rights_can_be_widened_and_narrowed(render: Any) -> None:
    named = role(render, "--set", "operator.readableSecrets[0]=mine")
    assert [r for r in named if "secrets" in r["resources"]] == [
        {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"], "resourceNames": ["mine"]}
    ]
    (more,) = [
        r for r in role(render, "--set", "operator.scalableDeployments={mine}")
        if _is(r, "deployments/scale", "patch")
    ]  # fmt: skip
    assert more["resourceNames"] == ["asr-worker-default", "mine"]
    (any_one,) = [
        r for r in role(render, "--set", "operator.scalableDeployments={*}")
        if _is(r, "deployments/scale", "patch")
    ]  # fmt: skip
    assert "resourceNames" not in any_one
    assert any(_is(rule, "pods", "patch") for rule in role(render))
    fewer = role(render, "--set", "operator.deletionCosts=false")
    assert [rule["verbs"] for rule in fewer if rule["resources"] == ["pods"]] == [["list"]]


def role(render: Any, *arguments: str) -> list[Json]:
    rules: list[Json] = render(*arguments).find("Role", "asr-operator")["rules"]
    return rules


def _is(rule: Json, resource: str, verb: str) -> bool:
    return resource in rule["resources"] and verb in rule["verbs"]


def test_there_is_one_operator_at_a_time_and_it_makes_its_lease_itself(render: Any) -> None:
    """One of the chart's would refuse a second release, and one that the operator had made."""
    made = render()
    operator = made.find("Deployment", "asr-operator")
    assert operator["spec"]["replicas"] == 1
    assert operator["spec"]["strategy"] == {"type": "Recreate"}
    assert not made.of_kind("Lease")


def test_the_operator_serves_the_pools_of_its_release(render: Any) -> None:
    made = render("--set", "fullnameOverride=speech")
    container = made.find("Deployment", "speech-operator")["spec"]["template"]["spec"]["containers"]
    settings = {each["name"]: each.get("value") for each in container[0]["env"]}
    for pool in made.worker_pools():
        assert pool["metadata"]["labels"][RELEASE_LABEL] == settings["ASR_OPERATOR_RELEASE"]
    role = made.find("Role", "speech-operator")["rules"]
    names = [
        name
        for rule in role
        if rule["resources"] == ["leases"]
        for name in rule.get("resourceNames", [])
    ]
    assert lease_name(settings["ASR_OPERATOR_RELEASE"]) in names


def test_no_object_of_the_release_is_of_a_kind_that_the_same_release_brings(render: Any) -> None:
    """helm looks all of them up before it creates the first, and would refuse the first install.

    And no hook makes them: helm runs one when `--wait` has seen every Deployment ready, and Argo
    CD at every sync.
    """
    made = render()
    assert made.of_kind("CustomResourceDefinition")
    assert made.of_kind("WorkerPool") == []
    hooks = [e for e in made.objects if "helm.sh/hook" in (e["metadata"].get("annotations") or {})]
    assert [each["metadata"]["annotations"]["helm.sh/hook"] for each in hooks] == ["test"]
    (pool,) = json.loads(made.find("ConfigMap", "asr-pools")["data"]["pools.json"])
    (same,) = render("--set", "operator.poolsAs=objects").of_kind("WorkerPool")
    assert pool["spec"] == same["spec"]
    # What helm asks for before it takes over an object that it has not made.
    assert pool["metadata"]["annotations"] == {
        "meta.helm.sh/release-name": "asr",
        "meta.helm.sh/release-namespace": "speech",
    }


def test_the_operator_starts_anew_when_its_pools_change(render: Any) -> None:
    def template(*arguments: str) -> Json:
        spec = render(*arguments).find("Deployment", "asr-operator")["spec"]
        annotations: Json = spec["template"]["metadata"].get("annotations") or {}
        return annotations

    assert template() == template("--set", "api.replicas=3")
    assert template() != template("--set", "worker.scaling.maxReplicas=9")
    assert template("--set", "operator.poolsAs=objects") == {}


def test_the_resource_definition_is_upgraded_with_the_chart_and_stays_behind(render: Any) -> None:
    (crd,) = render().of_kind("CustomResourceDefinition")
    assert crd["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}
    assert (
        "annotations"
        not in render("--set", "crds.keep=false").of_kind("CustomResourceDefinition")[0]["metadata"]
    )
    source = yaml.safe_load((ROOT / "operator/asr_operator/workerpool_crd.yaml").read_text())
    assert crd["spec"] == source["spec"]
