"""Someone else has a hand on the Deployment, or its workers serve somebody else."""

from __future__ import annotations

import pytest

from asr_operator.cluster import rest_client
from asr_operator.cluster.rest_client import path
from cluster_lab import Scene

pytestmark = pytest.mark.asyncio


async def test_of_two_pools_on_one_deployment_the_older_acts(scene: Scene) -> None:
    await scene.deployment()
    one = await scene.pool("one", scaling={"minReplicas": 1})
    two = await scene.pool("two", scaling={"minReplicas": 3})
    pools = sorted((one, two), key=lambda each: _age(each))
    older, younger = (each["metadata"]["name"] for each in pools)
    scene.operator()

    async def is_reported() -> bool:
        return await scene.condition("Conflict", younger) == ("True", "OlderPool")

    async def is_the_older_ones() -> bool:
        return await scene.replicas() == (1 if older == "one" else 3)

    await scene.until(is_reported, what="Conflict on the younger")
    await scene.until(is_the_older_ones, what="the older one's replicas")
    await scene.stays(is_the_older_ones, seconds=3)
    assert await scene.steps(younger) == []
    assert (await scene.condition("Conflict", older))[0] == "False"
    assert (await scene.condition("Ready", younger))[0] == "False"

    await scene.admin.delete(path(rest_client.POOLS, scene.namespace, "workerpools", older))

    async def is_free() -> bool:
        return (await scene.condition("Conflict", younger))[0] == "False"

    await scene.until(is_free, what="the younger one takes over")


async def test_workers_of_another_pool_are_not_scaled(scene: Scene) -> None:
    scene.worker_options = {"pool": "large"}
    scene.settings = scene.settings.model_copy(update={"pools": ("default", "large")})
    await scene.submit(1, pool="large")
    await scene.deployment(1)

    async def has_worker() -> bool:
        return len(scene.workers) == 1

    await scene.until(has_worker, what="a worker")
    await scene.pool(scaling={"minReplicas": 0})
    scene.operator()

    async def is_reported() -> bool:
        return await scene.condition("PoolMismatch") == ("True", "OtherPool")

    async def is_held() -> bool:
        return await scene.replicas() == 1

    await scene.until(is_reported, what="PoolMismatch")
    await scene.submit(5)
    await scene.stays(is_held, seconds=5)
    assert await scene.steps() == []
    conditions = {each["type"]: each["message"] for each in (await scene.status())["conditions"]}
    assert "'large'" in conditions["PoolMismatch"]
    assert "'default'" in conditions["PoolMismatch"]


async def test_an_autoscaler_on_the_same_deployment_is_reported_not_fought(scene: Scene) -> None:
    await scene.deployment()
    await scene.admin.autoscaler(scene.namespace, "asr-worker")
    await scene.pool(scaling={"minReplicas": 2})
    scene.operator()

    async def is_reported() -> bool:
        return await scene.condition("Conflict") == ("True", "HorizontalPodAutoscaler")

    await scene.until(is_reported, what="Conflict")
    replicas = await scene.replicas()

    async def is_held() -> bool:
        return await scene.replicas() == replicas

    await scene.stays(is_held, seconds=3)
    assert await scene.steps() == []


async def test_a_person_who_scales_is_reported_and_not_fought_at_once(scene: Scene) -> None:
    scene.worker_options = {"task_seconds": 120.0, "throughput": 10.0}
    await scene.deployment()
    await scene.pool(scaling={"maxReplicas": 2})
    await scene.submit(10, seconds=1200.0)
    scene.operator()

    async def is_full() -> bool:
        status = await scene.status()
        return await scene.replicas() == 2 and (status.get("lastScale") or {}).get("done", False)

    async def is_reported() -> bool:
        return (await scene.condition("Conflict"))[0] == "True"

    async def is_theirs() -> bool:
        return await scene.replicas() == 6

    await scene.until(is_full, what="two replicas")
    steps = await scene.steps()
    await scene.admin.set_replicas(scene.namespace, "asr-worker", 6)
    await scene.until(is_reported, what="Conflict")
    await scene.stays(is_theirs, seconds=4)
    assert await scene.steps() == steps
    assert any(each["type"] == "Warning" for each in await scene.events())


async def test_a_missing_deployment_is_said_and_its_coming_is_noticed(scene: Scene) -> None:
    await scene.pool(scaling={"minReplicas": 1})
    scene.operator()

    async def is_missing() -> bool:
        return await scene.condition("Ready") == ("False", "TargetNotFound")

    async def is_awake() -> bool:
        return await scene.replicas() == 1

    await scene.until(is_missing, what="TargetNotFound")
    await scene.deployment()
    await scene.until(is_awake, what="one replica")


@pytest.mark.parametrize(("on_delete", "left"), [("keep", 2), ("restore", 5)])
async def test_a_deleted_pool_lets_its_deployment_go(
    scene: Scene, on_delete: str, left: int
) -> None:
    await scene.deployment(5)
    await scene.pool(onDelete=on_delete, scaling={"paused": True, "pausedReplicas": 2})
    scene.operator()

    async def has_two() -> bool:
        return await scene.replicas() == 2

    async def is_left() -> bool:
        return await scene.replicas() == left

    await scene.until(has_two, what="two replicas")
    url = path(rest_client.POOLS, scene.namespace, "workerpools", "gpu")
    pool = await scene.admin.get(url)
    assert "finalizers" not in pool["metadata"]
    assert not pool["metadata"].get("annotations")
    await scene.admin.delete(url)
    assert await scene.admin.find(url) is None, "nothing holds its deletion up"
    await scene.until(is_left, what=on_delete)
    await scene.stays(is_left, seconds=2)


def _age(pool: rest_client.Json) -> tuple[str, str]:
    return pool["metadata"]["creationTimestamp"], pool["metadata"]["uid"]
