"""From zero to the planned number and back, with a real queue and workers that really claim."""

from __future__ import annotations

import pytest

from cluster_lab import Scene

pytestmark = pytest.mark.asyncio
STEPS = {"maxReplicas": 5, "maxStep": {"up": 2, "down": 1}}


async def serving(scene: Scene, replicas: int = 0, **spec: object) -> None:
    """A Deployment, its pool, and an operator that has reported for the first time."""
    await scene.deployment(replicas)
    await scene.pool(**spec)
    scene.operator()

    async def is_reported() -> bool:
        return (await scene.condition("SignalAvailable"))[0] == "True"

    await scene.until(is_reported, what="a first report")


async def test_one_task_wakes_a_worker_within_two_looks(scene: Scene) -> None:
    await serving(scene)
    assert await scene.replicas() == 0
    asked = scene.fake.asked if scene.fake else []
    before = len(asked)
    await scene.submit(1)

    async def is_awake() -> bool:
        return await scene.replicas() == 1

    await scene.until(is_awake, seconds=6, what="one replica")
    ticks = [
        each for each in asked[before:] if (each.verb, each.resource) == ("get", "workerpools")
    ]
    assert len(ticks) <= 2

    async def is_done() -> bool:
        return await scene.open_tasks() == 0

    await scene.until(is_done, what="the task completed")

    async def is_reported() -> bool:
        return await scene.condition("Ready") == ("True", "Steady")

    assert await scene.steps() == [(0, 1)]
    assert "Activate" in await scene.reasons()
    assert (await scene.condition("ScalingActive"))[0] == "True"


async def test_much_work_scales_up_in_steps_and_no_work_down_to_zero(scene: Scene) -> None:
    scene.worker_options = {"task_seconds": 0.05, "throughput": 10.0}
    await serving(scene, scaling=STEPS)
    await scene.submit(400, seconds=10.0)

    async def is_full() -> bool:
        return await scene.replicas() == 5

    await scene.until(is_full, what="five replicas")
    status = await scene.status()
    assert status["desiredReplicas"] > 5, "what the work asks for, not what it gets"
    assert await scene.condition("ScalingLimited") == ("True", "TooManyReplicas")
    ups = await scene.steps()
    assert all(0 < after - before <= 2 for before, after in ups)

    async def is_empty() -> bool:
        return await scene.replicas() == 0

    await scene.until(is_empty, seconds=60, what="no replicas after the work is done")
    assert await scene.open_tasks() == 0
    downs = (await scene.steps())[len(ups) :]
    assert downs == [(5, 4), (4, 3), (3, 2), (2, 1), (1, 0)]
    assert {"ScaleUp", "ScaleDown"} <= set(await scene.reasons())

    async def is_at_rest() -> bool:
        status = await scene.status()
        return (status["replicas"], status["waiting"], status["inFlight"]) == (0, 0, 0)

    await scene.until(is_at_rest, what="a status that says so")
    status = await scene.status()
    assert (status["desiredReplicas"], status["lastScale"]["done"]) == (0, True)
    assert status["throughput"] == 10.0, "known to whoever comes next"
    assert not any(worker.drained for worker in scene.ended), "no worker was taken with a task"


async def test_a_dry_run_decides_and_reports_but_changes_nothing(scene: Scene) -> None:
    await serving(scene, scaling={"dryRun": True})
    await scene.submit(3)

    async def is_wanted() -> bool:
        return int((await scene.status()).get("desiredReplicas", 0)) > 0

    await scene.until(is_wanted, what="a desire in the status")

    async def is_untouched() -> bool:
        return await scene.replicas() == 0

    await scene.stays(is_untouched, seconds=3)
    assert await scene.steps() == []
    assert "lastScale" not in await scene.status()


async def test_a_pause_leaves_the_replicas_and_its_end_takes_up_the_work(scene: Scene) -> None:
    await serving(scene, scaling={"paused": True})
    await scene.submit(1)

    async def is_paused() -> bool:
        return (await scene.condition("Paused"))[0] == "True" and await scene.replicas() == 0

    await scene.until(is_paused, what="a pause")
    await scene.change_pool(scaling={"paused": True, "pausedReplicas": 2})

    async def has_two() -> bool:
        return await scene.replicas() == 2

    await scene.until(has_two, what="the replicas of the pause")
    await scene.change_pool(scaling={"paused": False, "pausedReplicas": None})

    async def is_over() -> bool:
        return (await scene.condition("Paused"))[0] == "False"

    await scene.until(is_over, what="the end of the pause")


async def test_pods_without_a_node_are_reported_and_no_more_are_asked_for(scene: Scene) -> None:
    if not scene.kubelet.plays:
        pytest.skip("a real cluster has the nodes it has")
    scene.kubelet.capacity = 1
    scene.worker_options = {"task_seconds": 30.0}
    await serving(scene, scaling={"maxReplicas": 8, "maxStep": {"up": 1, "down": 1}})
    await scene.submit(100, seconds=100.0)

    async def is_short() -> bool:
        return (await scene.condition("CapacityUnavailable"))[0] == "True"

    await scene.until(is_short, what="CapacityUnavailable")
    replicas = await scene.replicas()
    assert replicas <= 3

    async def is_held() -> bool:
        return await scene.replicas() == replicas

    await scene.stays(is_held, seconds=3)
    warnings = [each["reason"] for each in await scene.events() if each["type"] == "Warning"]
    assert warnings == ["Unschedulable"], "one cause, one warning"
