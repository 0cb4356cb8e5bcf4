"""The operator dies, or there are two: the replicas do not care."""

from __future__ import annotations

import asyncio

import pytest

from asr_operator.cluster import rest_client
from asr_operator.cluster.leader_election import LEASE_NAME, lease_name
from asr_operator.cluster.rest_client import path
from asr_operator.program import RELEASE_LABEL
from cluster_lab import Scene
from cluster_lab.programs import LEASE_SECONDS

pytestmark = pytest.mark.asyncio


async def loaded(scene: Scene, replicas: int = 3) -> None:
    """Busy workers, and more work than they can do."""
    scene.worker_options = {"task_seconds": 120.0, "throughput": 10.0}
    await scene.deployment()
    await scene.pool(scaling={"maxReplicas": replicas})
    await scene.submit(10, seconds=1200.0)


async def holder(scene: Scene, release: str = "") -> str:
    url = path(rest_client.COORDINATION, scene.namespace, "leases", lease_name(release))
    lease = await scene.admin.find(url)
    return str(lease["spec"]["holderIdentity"]) if lease else ""


async def test_a_restart_at_load_does_not_move_the_replicas(scene: Scene) -> None:
    await loaded(scene)
    first = scene.operator("first")

    async def is_full() -> bool:
        return await scene.replicas() == 3 and (await scene.status())["lastScale"]["done"]

    async def is_held() -> bool:
        return await scene.replicas() == 3

    async def has_taken_over() -> bool:
        return (await holder(scene)).startswith("second")

    await scene.until(is_full, what="three replicas")
    steps = await scene.steps()
    first.kill()
    scene.operator("second")
    await scene.until(has_taken_over, what="the Lease taken over")
    await scene.stays(is_held, seconds=LEASE_SECONDS + 2)
    assert await scene.steps() == steps
    assert (await scene.condition("Conflict"))[0] == "False"


async def test_a_worker_that_a_dead_operator_had_cordoned_works_again(scene: Scene) -> None:
    """Cordoned, and the operator is killed before it takes the worker: nobody else knows."""
    scene.worker_options = {"task_seconds": 0.2, "throughput": 10.0}
    await scene.deployment(1)
    await scene.pool(scaling={"minReplicas": 1})

    async def has_worker() -> bool:
        return len(scene.workers) == 1

    await scene.until(has_worker, what="a worker")
    (worker,) = scene.workers.values()
    await scene.cordon(worker)
    await scene.submit(3)
    scene.operator()

    async def is_done() -> bool:
        return await scene.open_tasks() == 0

    await scene.until(is_done, what="every task done by the worker that was cordoned")


async def test_of_two_operators_one_acts_and_the_other_takes_over(scene: Scene) -> None:
    await scene.deployment()
    await scene.pool(scaling={"minReplicas": 1})
    first = scene.operator("first")

    async def first_leads() -> bool:
        return (await holder(scene)).startswith("first")

    async def second_leads() -> bool:
        return (await holder(scene)).startswith("second")

    async def is_awake() -> bool:
        return await scene.replicas() == 1

    await scene.until(first_leads, what="the first leads")
    scene.operator("second")
    await scene.until(is_awake, what="one replica")
    await scene.stays(first_leads, seconds=LEASE_SECONDS + 1)
    assert {each["reportingInstance"].split("_")[0] for each in await scene.events()} == {"first"}
    assert await asyncio.to_thread(first.stop) == 0
    await scene.until(second_leads, seconds=LEASE_SECONDS, what="a clean stop hands over at once")
    await scene.change_pool(scaling={"minReplicas": 2})

    async def has_two() -> bool:
        return await scene.replicas() == 2

    await scene.until(has_two, what="the second acts")


async def test_an_operator_without_its_lease_changes_nothing(scene: Scene) -> None:
    """Somebody else's name stands in the Lease, renewed by nobody but newer than the holder's."""
    await loaded(scene)
    program = scene.operator()

    async def leads() -> bool:
        return (await holder(scene)).startswith("operator")

    async def knows() -> bool:
        return "lease lost" in program.log.read_text()

    await scene.until(leads, what="the operator leads")
    lease = path(rest_client.COORDINATION, scene.namespace, "leases", LEASE_NAME)
    await scene.admin.patch(lease, {"spec": {"holderIdentity": "x", "leaseDurationSeconds": 600}})
    await scene.until(knows, seconds=LEASE_SECONDS + 10, what="the lease is lost")
    replicas = await scene.replicas()
    await scene.change_pool(scaling={"minReplicas": replicas + 1, "maxReplicas": 9})

    async def is_held() -> bool:
        return await scene.replicas() == replicas

    await scene.stays(is_held, seconds=4)
    assert await holder(scene) == "x"


async def test_two_releases_in_a_namespace_scale_their_own_pools(scene: Scene) -> None:
    """Each has an operator with a Redis of its own. A pool without a label is served by one."""
    scene.pods_run = False
    for name in ("one", "two", "nobodys"):
        await scene.deployment(name=f"worker-{name}")
        release, scaling = "" if name == "nobodys" else name, {"minReplicas": 1}
        await scene.pool(name, target=f"worker-{name}", release=release, scaling=scaling)
    scene.operator("first", release="one")
    scene.operator("second", release="two")

    async def are_awake() -> bool:
        names = [f"worker-{name}" for name in ("one", "two", "nobodys")]
        return all([await scene.replicas(name) == 1 for name in names])

    await scene.until(are_awake, what="one replica each")
    assert (await holder(scene, "one")).startswith("first")
    assert (await holder(scene, "two")).startswith("second")
    reporters = {
        name: {each["reportingInstance"].split("_")[0] for each in await scene.events(name)}
        for name in ("one", "two", "nobodys")
    }
    assert (reporters["one"], reporters["two"]) == ({"first"}, {"second"})
    assert reporters["nobodys"] == {(await holder(scene)).split("_")[0]}


async def test_a_pool_that_is_given_to_another_release_changes_hands(scene: Scene) -> None:
    await scene.deployment()
    await scene.pool(scaling={"minReplicas": 1})
    scene.operator("first", release="one")

    async def is_awake() -> bool:
        return await scene.replicas() == 1

    async def has_two() -> bool:
        return await scene.replicas() == 2

    await scene.until(is_awake, what="one replica")
    scene.operator("second", release="two")
    url = path(rest_client.POOLS, scene.namespace, "workerpools", "gpu")
    await scene.admin.patch(url, {"metadata": {"labels": {RELEASE_LABEL: "two"}}})

    async def second_leads() -> bool:
        return (await holder(scene, "two")).startswith("second")

    await scene.until(second_leads, what="the second leads")
    await scene.change_pool(scaling={"minReplicas": 2})
    await scene.until(has_two, what="two replicas")
    assert (await scene.events())[-1]["reportingInstance"].startswith("second")
