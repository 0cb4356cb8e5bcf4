"""Redis goes away: nobody is taken, nobody is added, and the status says why."""

from __future__ import annotations

import os

import pytest

from cluster_lab import Scene

pytestmark = pytest.mark.asyncio
# Longer than every lease and heartbeat of these scenes. A minute, as in the field, shows the same.
OUTAGE_SECONDS = float(os.environ.get("ASR_TEST_OUTAGE_SECONDS", "8"))


async def lose_redis(scene: Scene, replicas: int) -> None:
    """Stops Redis for a while, in which the replicas must not move; then starts it again."""

    async def is_reported() -> bool:
        return (await scene.condition("SignalAvailable"))[0] == "False"

    async def is_held() -> bool:
        return await scene.replicas() == replicas

    async def is_back() -> bool:
        return (await scene.condition("SignalAvailable"))[0] == "True"

    steps = await scene.steps()
    scene.redis.kill()
    await scene.until(is_reported, what="SignalAvailable False")
    await scene.stays(is_held, seconds=OUTAGE_SECONDS)
    conditions = {each["type"]: each for each in (await scene.status())["conditions"]}
    assert "Redis" in conditions["SignalAvailable"]["message"]
    assert conditions["Ready"]["status"] == "False"
    assert await scene.steps() == steps
    scene.redis.start()
    await scene.until(is_back, what="SignalAvailable True")

    async def are_events() -> bool:  # they follow the status
        kinds = [each["type"] for each in await scene.events() if each["action"] == cause]
        return kinds == ["Warning", "Normal"]

    cause = "SignalAvailable"
    await scene.until(are_events, what="an event of its loss and one of its recovery")


async def test_at_load_the_workers_stay_and_the_work_goes_on_afterwards(scene: Scene) -> None:
    scene.worker_options = {"task_seconds": 2.0, "throughput": 10.0}
    await scene.deployment()
    await scene.pool(scaling={"maxReplicas": 3})
    scene.operator()
    await scene.submit(12, seconds=100.0)

    async def is_full() -> bool:
        return await scene.replicas() == 3 and len(scene.workers) == 3

    await scene.until(is_full, what="three replicas")
    await lose_redis(scene, replicas=3)

    async def is_done() -> bool:
        return await scene.open_tasks() == 0

    async def is_empty() -> bool:
        return await scene.replicas() == 0

    await scene.until(is_done, seconds=40, what="every task done")
    await scene.until(is_empty, seconds=40, what="no replicas at the end")


async def test_at_zero_nothing_starts_until_the_queue_can_be_read_again(scene: Scene) -> None:
    await scene.deployment()
    await scene.pool()
    scene.operator()

    async def is_reported() -> bool:
        return (await scene.condition("SignalAvailable"))[0] == "True"

    await scene.until(is_reported, what="a first report")
    await lose_redis(scene, replicas=0)
    await scene.submit(1)

    async def is_awake() -> bool:
        return await scene.replicas() == 1

    await scene.until(is_awake, what="one replica")


async def test_a_fallback_starts_workers_also_from_zero(scene: Scene) -> None:
    await scene.deployment()
    await scene.pool(scaling={"fallback": {"afterSeconds": 2, "replicas": 2}})
    scene.operator()

    async def is_reported() -> bool:
        return (await scene.condition("SignalAvailable"))[0] == "True"

    async def has_two() -> bool:
        return await scene.replicas() == 2

    await scene.until(is_reported, what="a first report")
    scene.pods_run = False  # workers cannot start without Redis
    scene.redis.kill()
    await scene.until(has_two, what="the fallback's replicas")
    assert "Fallback" in await scene.reasons()


async def test_a_secret_that_is_missing_is_said_and_its_coming_is_noticed(scene: Scene) -> None:
    await scene.deployment()
    await scene.pool(redis={"urlSecretRef": {"name": "later", "key": "url"}})
    scene.operator()

    async def is_reported() -> bool:
        return (await scene.condition("SignalAvailable"))[0] == "False"

    async def is_back() -> bool:
        return (await scene.condition("SignalAvailable"))[0] == "True"

    await scene.until(is_reported, what="SignalAvailable False")
    conditions = {each["type"]: each["message"] for each in (await scene.status())["conditions"]}
    assert "later" in conditions["SignalAvailable"]
    await scene.admin.secret(scene.namespace, "later", url=scene.redis.url)
    await scene.until(is_back, what="SignalAvailable True")
