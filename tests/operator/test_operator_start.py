"""From an installation to running pools: Deployments that were applied paused, declared pools."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from asr_core.errors import InvalidOption
from asr_operator.cluster import rest_client
from asr_operator.cluster.objects import STARTED_BY
from asr_operator.cluster.rest_client import path
from asr_operator.reconcile.declared_pools import read_declared
from cluster_lab import Scene
from cluster_lab.objects import Refused
from cluster_lab.server import ClusterRequest

Json = dict[str, Any]


def declared(name: str = "asr-worker", **scaling: Any) -> Json:
    return {
        "apiVersion": "asr-platform.dev/v1alpha1",
        "kind": "WorkerPool",
        "metadata": {"name": name, "labels": {"app": "asr"}},
        "spec": {
            "scaleTargetRef": {"name": name},
            "redis": {"urlSecretRef": {"name": "redis", "key": "url"}},
            "pollIntervalSeconds": 1,
            "scaling": {"stabilizationSeconds": {"down": 3}, **scaling},
        },
    }


async def deployment(scene: Scene) -> Json:
    return await scene.admin.get(
        path(rest_client.APPS, scene.namespace, "deployments", "asr-worker")
    )


async def waits(scene: Scene) -> bool:
    found = await deployment(scene)
    marked = STARTED_BY in (found["metadata"].get("annotations") or {})
    return bool(found["spec"].get("paused")) or marked


async def replica_sets(scene: Scene) -> list[Json]:
    return await scene.admin.items(path(rest_client.APPS, scene.namespace, "replicasets"))


async def pool(scene: Scene) -> Json | None:
    return await scene.admin.find(
        path(rest_client.POOLS, scene.namespace, "workerpools", "asr-worker")
    )


@pytest.mark.asyncio
async def test_a_first_install_starts_at_the_least_and_not_one_pod_is_made_before(
    scene: Scene,
) -> None:
    """The server's default is one replica: one GPU for each pool, for nothing."""
    await scene.deployment_to_start()
    scene.operator(declared=[declared()])

    async def has_started() -> bool:
        return bool(await replica_sets(scene)) and not await waits(scene)

    await scene.until(has_started, what="the Deployment started")
    assert await scene.replicas() == 0
    assert [each["spec"].get("replicas", 0) for each in await replica_sets(scene)] == [0]
    notes = [each["note"] for each in await scene.events("asr-worker")]
    assert not any("another writer" in note for note in notes), notes
    await scene.submit()

    async def is_awake() -> bool:
        return len(scene.workers) == 1

    await scene.until(is_awake, what="the first task wakes a worker")
    status = await scene.status("asr-worker")
    assert status["replicasAtFirst"] == 0


@pytest.mark.asyncio
async def test_a_first_install_starts_at_min_replicas(scene: Scene) -> None:
    await scene.deployment_to_start()
    scene.operator(declared=[declared(minReplicas=2)])

    async def has_two() -> bool:
        return len(scene.workers) == 2

    await scene.until(has_two, what="two workers")
    assert not await waits(scene)


@pytest.mark.asyncio
async def test_the_same_manifest_applied_again_takes_no_busy_worker(scene: Scene) -> None:
    """As Argo CD, Flux or kubectl do: the pause comes back, the replicas are not in it."""
    scene.worker_options = {"task_seconds": 120.0, "throughput": 10.0}
    await scene.deployment_to_start()
    scene.operator(declared=[declared(maxReplicas=3)])
    await scene.submit(10, seconds=1200.0)

    async def is_full() -> bool:
        return len(scene.workers) == 3 and (await scene.status("asr-worker"))["replicas"] == 3

    async def has_started() -> bool:
        return not await waits(scene)

    await scene.until(is_full, what="three busy workers")
    steps = await scene.steps("asr-worker")
    for _ in range(2):
        await scene.apply_again()
        await scene.until(has_started, what="the pause ended again")
        assert await scene.replicas() == 3
    assert scene.ended == []
    assert await scene.steps("asr-worker") == steps
    assert (await scene.condition("Conflict", "asr-worker"))[0] == "False"


@pytest.mark.asyncio
async def test_a_pause_of_a_person_is_left_alone(scene: Scene) -> None:
    await scene.deployment(0)
    url = path(rest_client.APPS, scene.namespace, "deployments", "asr-worker")
    await scene.admin.patch(url, {"spec": {"paused": True}})
    scene.operator(declared=[declared(minReplicas=1)])

    async def is_awake() -> bool:
        return len(scene.workers) == 1

    await scene.until(is_awake, what="scaled all the same")
    assert (await deployment(scene))["spec"]["paused"] is True


@pytest.mark.asyncio
async def test_without_the_right_to_start_it_the_pool_says_so(scene: Scene) -> None:
    if scene.fake is None:
        pytest.skip("the role of the real API server has that right")

    def refuse(asked: ClusterRequest) -> Refused | None:
        if (asked.resource, asked.verb) == ("deployments", "patch") and asked.agent != "test":
            return Refused(403, "Forbidden", "deployments is forbidden")
        return None

    scene.fake.refuse = refuse
    await scene.deployment_to_start()
    scene.operator(declared=[declared()])

    async def says_so() -> bool:
        return await pool(scene) is not None and await scene.condition("Ready", "asr-worker") == (
            "False",
            "StartRefused",
        )

    await scene.until(says_so, what="StartRefused")


@pytest.mark.asyncio
async def test_a_declared_pool_goes_with_its_deployment_and_comes_back_when_it_is_deleted(
    scene: Scene,
) -> None:
    await scene.deployment()
    scene.operator(declared=[declared()])

    async def is_there() -> bool:
        return await pool(scene) is not None

    await scene.until(is_there, what="the pool")
    made = await pool(scene)
    assert made
    (owner,) = made["metadata"]["ownerReferences"]
    assert owner["uid"] == (await deployment(scene))["metadata"]["uid"]

    async def is_new() -> bool:
        found = await pool(scene)
        return found is not None and found["metadata"]["uid"] != made["metadata"]["uid"]

    await scene.admin.delete(path(rest_client.POOLS, scene.namespace, "workerpools", "asr-worker"))
    await scene.until(is_new, what="the pool again")


@pytest.mark.asyncio
async def test_what_a_person_changes_in_a_declared_pool_stays_until_the_declaration_changes(
    scene: Scene,
) -> None:
    """An operator that restarts must not undo what somebody did about an incident."""
    await scene.deployment()
    first = scene.operator(declared=[declared(maxReplicas=3)])

    async def most() -> int:
        found = await pool(scene)
        return int(found["spec"]["scaling"]["maxReplicas"]) if found else 0

    async def is_declared() -> bool:
        return await most() == 3

    await scene.until(is_declared, what="as declared")
    await scene.change_pool("asr-worker", scaling={"maxReplicas": 20})
    await asyncio.to_thread(first.stop)
    second = scene.operator("second", declared=[declared(maxReplicas=3)])

    async def has_started() -> bool:
        return "pool started" in second.log.read_text()

    await scene.until(has_started, what="the second one starts")
    assert await most() == 20
    await asyncio.to_thread(second.stop)
    scene.operator("third", declared=[declared(maxReplicas=4)])

    async def is_declared_anew() -> bool:
        return await most() == 4

    await scene.until(is_declared_anew, what="as declared anew")


@pytest.mark.asyncio
async def test_a_declared_pool_that_the_server_refuses_is_told_at_its_deployment(
    scene: Scene,
) -> None:
    await scene.deployment()
    scene.operator(declared=[declared(minReplicas=9, maxReplicas=2)])

    async def is_reported() -> bool:
        events = await scene.admin.items(path(rest_client.EVENTS, scene.namespace, "events"))
        return any(
            each["reason"] == "PoolRefused"
            and each["regarding"]["kind"] == "Deployment"
            and "minReplicas" in each["note"]
            for each in events
        )

    await scene.until(is_reported, what="an event at the Deployment")
    assert await pool(scene) is None


@pytest.mark.parametrize("text", ["{", "{}x", '[{"metadata": {}}]', '["gpu"]'])
def test_a_file_that_declares_nothing_useful_is_refused_at_the_start(
    tmp_path: Any, text: str
) -> None:
    file = tmp_path / "pools.json"
    file.write_text(text)
    with pytest.raises(InvalidOption, match="ASR_WORKER_POOLS_FILE"):
        read_declared(str(file))
    assert read_declared("") == []
