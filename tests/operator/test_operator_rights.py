"""What the chart's Role lets the operator do: all that a release needs, nothing to neighbours."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
import yaml

from asr_operator.cluster import rest_client
from asr_operator.cluster.rest_client import path
from chart.generated import CHART
from chart.tools import ToolMissing, find_any_helm
from cluster_lab import Scene
from cluster_lab.objects import Refused
from cluster_lab.rbac import fits, refusal
from cluster_lab.server import ClusterRequest

Json = dict[str, Any]
LARGE, OWN, FOREIGN = "asr-worker-large", "asr-worker-default", "of-a-neighbour"
_ROLE = "/apis/rbac.authorization.k8s.io/v1/namespaces/{}/roles/asr-operator"


@pytest.fixture(scope="session")
def release() -> tuple[list[Json], list[Json]]:
    """The rules of the operator's Role, and the WorkerPools that the release declares."""
    try:
        helm = find_any_helm()
    except ToolMissing as error:
        pytest.skip(str(error))
    pools = "pools[0].name=default,pools[1].name=large,operator.readableSecrets={redis}"
    made = helm.run("template", "asr", str(CHART), "--set", pools)
    assert made.returncode == 0, made.stderr
    objects = {(e["kind"], e["metadata"]["name"]): e for e in yaml.safe_load_all(made.stdout) if e}
    declared = json.loads(objects["ConfigMap", "asr-pools"]["data"]["pools.json"])
    return objects["Role", "asr-operator"]["rules"], declared


def of_here(pools: list[Json], namespace: str) -> list[Json]:
    """As they would be in the scene's namespace, with its Redis and short windows."""
    made = json.loads(json.dumps(pools))
    for pool in made:
        pool["metadata"].pop("namespace", None)
        pool["spec"] |= {
            "redis": {"urlSecretRef": {"name": "redis", "key": "url"}},
            "pool": pool["metadata"]["name"],
            "pollIntervalSeconds": 1,
            "onDelete": "restore",
            "scaling": {"paused": True, "pausedReplicas": 2, "maxReplicas": 4},
        }
    return list(made)


@pytest.mark.asyncio
async def test_a_release_is_served_with_its_role_and_a_neighbours_deployment_is_out_of_reach(
    scene: Scene, release: tuple[list[Json], list[Json]]
) -> None:
    """On the stand-in each request is judged and noted, on an API server it has this very Role."""
    rules, pools = release
    asked: set[tuple[str, str, str, str]] = set()

    def judge(each: ClusterRequest) -> Refused | None:
        if not each.agent.startswith(("asr-operator", "kopf")) or not each.resource:
            return None
        wanted = (each.group, each.resource, each.verb, each.name)
        asked.add(wanted)
        return refusal(rules, *wanted)

    if scene.fake is not None:
        scene.fake.refuse = judge
    else:
        await scene.admin.patch(_ROLE.format(scene.namespace), {"rules": rules})
    for name in (OWN, LARGE):
        await scene.deployment_to_start(name)
    await scene.deployment(3, FOREIGN)
    at_one: Json = {"paused": True, "pausedReplicas": 1}
    await scene.pool("not-mine", FOREIGN, scaling=at_one)
    # As an earlier revision of the release had it: it must be brought up to date.
    await scene.pool(LARGE, LARGE, release="asr", scaling=at_one)
    declared = of_here(pools, scene.namespace)
    program = scene.operator(release="asr", declared=declared)

    async def are_scaled() -> bool:
        urls = [
            path(rest_client.APPS, scene.namespace, "deployments", name) for name in (OWN, LARGE)
        ]
        found = [(await scene.admin.get(url))["spec"].get("replicas") for url in urls]
        return found == [2, 2]

    async def is_reported() -> bool:
        return "ScaleRefused" in await scene.reasons("not-mine")

    await scene.until(are_scaled, what="both of the release's Deployments at two")
    await scene.until(is_reported, what="the neighbour's is refused")
    assert await scene.replicas(FOREIGN) == 3
    await scene.change_pool(OWN, scaling={"pausedReplicas": 1})

    async def is_down() -> bool:
        return await scene.replicas(OWN) == 1

    await scene.until(is_down, what="one worker fewer")
    await asyncio.to_thread(program.stop)
    if scene.fake is not None:
        refused = {each for each in asked if refusal(rules, *each)}
        assert refused == {("apps", "deployments/scale", "patch", FOREIGN)}
        unused = [rule for rule in rules if not any(fits(rule, *each) for each in asked)]
        assert unused == [], "rights that nobody needs"


@pytest.mark.asyncio
async def test_an_account_of_the_operator_can_stop_no_other_workload(
    scene: Scene, release: tuple[list[Json], list[Json]]
) -> None:
    """Asked of the API server itself where there is one, in the words of `kubectl auth can-i`."""
    rules, _ = release
    cases = {
        ("patch", "apps", "deployments", "scale", OWN): True,
        ("patch", "apps", "deployments", "scale", FOREIGN): False,
        ("patch", "apps", "deployments", "scale", "asr-api"): False,
        ("patch", "apps", "deployments", "", OWN): True,
        ("patch", "apps", "deployments", "", "asr-api"): False,
        ("delete", "apps", "deployments", "", OWN): False,
        ("update", "asr-platform.dev", "workerpools", "", OWN): True,
        ("update", "asr-platform.dev", "workerpools", "", "not-mine"): False,
        ("delete", "asr-platform.dev", "workerpools", "", OWN): False,
        ("get", "", "secrets", "", "redis"): True,
        ("get", "", "secrets", "", "asr-bootstrap-key"): False,
        ("list", "", "secrets", "", ""): False,
        ("create", "", "pods", "", ""): False,
        ("create", "", "pods", "exec", "asr-api-0"): False,
        ("patch", "coordination.k8s.io", "leases", "", "asr-operator-asr"): True,
        ("patch", "coordination.k8s.io", "leases", "", "of-a-neighbour"): False,
    }
    judged: dict[tuple[str, ...], bool] = {}
    for verb, group, plural, sub, name in cases:
        resource = f"{plural}/{sub}" if sub else plural
        judged[verb, group, plural, sub, name] = not refusal(rules, group, resource, verb, name)
    assert judged == cases
    if scene.fake is not None:
        return
    await scene.admin.patch(_ROLE.format(scene.namespace), {"rules": rules})
    url = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
    account = f"system:serviceaccount:{scene.namespace}:asr-operator"
    for (verb, group, plural, sub, name), is_allowed in cases.items():
        attributes = {
            "namespace": scene.namespace, "verb": verb, "group": group,
            "resource": plural, "subresource": sub, "name": name,
        }  # fmt: skip
        review = await scene.admin.create(
            url,
            {
                "apiVersion": "authorization.k8s.io/v1",
                "kind": "SubjectAccessReview",
                "spec": {"user": account, "resourceAttributes": attributes},
            },
        )
        assert review["status"]["allowed"] is is_allowed, attributes
