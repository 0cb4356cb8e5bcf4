"""What was measured belongs to the pods' template: a new one starts from its own measurement."""

from __future__ import annotations

import pytest

from asr_operator.cluster import rest_client
from asr_operator.cluster.rest_client import path
from cluster_lab import Scene

pytestmark = pytest.mark.asyncio


async def change_template(scene: Scene, number: str) -> None:
    """As `kubectl set env` or `kubectl rollout restart` do."""
    url = path(rest_client.APPS, scene.namespace, "deployments", "asr-worker")
    annotations = {"kubectl.kubernetes.io/restartedAt": number}
    await scene.admin.patch(url, {"spec": {"template": {"metadata": {"annotations": annotations}}}})


async def measured(scene: Scene) -> list[float]:
    return [each["throughput"] for each in (await scene.status()).get("measurements") or []]


async def test_slower_pods_of_a_new_template_are_joined_by_others_at_once(scene: Scene) -> None:
    """530 audio-seconds a second were measured; the pods are thirty times slower since. A restart
    of the operator, and zero workers, know still what was measured of which template."""
    scene.worker_options = {"task_seconds": 0.05, "throughput": 530.0}
    await scene.deployment(1)
    await scene.pool(scaling={"minReplicas": 1, "maxReplicas": 4, "targetWaitSeconds": 30})
    operator = scene.operator()

    async def is_fast() -> bool:
        return await measured(scene) == [530.0]

    await scene.until(is_fast, what="the first template's measurement")
    scene.worker_options = {"task_seconds": 60.0, "throughput": 17.7}
    await change_template(scene, "1")

    async def is_slow() -> bool:
        return await measured(scene) == [17.7, 530.0]

    await scene.until(is_slow, what="the second template's own measurement, before the first one's")
    assert (await scene.status())["throughput"] == 17.7
    # 2,000 s of audio: four seconds' work for the old pods, two minutes' for one of the new.
    await scene.submit(20, seconds=100.0)

    async def is_joined() -> bool:
        return await scene.replicas() > 1

    await scene.until(is_joined, seconds=10, what="more workers")
    status = await scene.status()
    assert status["oldestWaitSeconds"] < 15, "half of the target"
    operator.kill()
    scene.operator()

    async def is_known() -> bool:
        return (await measured(scene))[:2] == [17.7, 530.0]

    await scene.stays(is_known, seconds=3)
