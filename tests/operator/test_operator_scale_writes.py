"""Replicas are written while others write the same Deployment: its controller, an autoscaler."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from asr_core.errors import ClusterUnavailable
from asr_operator.cluster import rest_client
from asr_operator.cluster.objects import Cluster, Target
from asr_operator.cluster.rest_client import path
from asr_operator.reconcile.reconciler import PoolReconciler
from cluster_lab import Scene
from cluster_lab.objects import Refused, merged
from cluster_lab.server import ClusterRequest

pytestmark = pytest.mark.asyncio


@asynccontextmanager
async def busy_controller(scene: Scene) -> AsyncIterator[list[int]]:
    """Its status is written before each request of a Deployment, or without a pause on a real
    server. Yields the number of writes."""
    writes = [0]
    if scene.fake is None:
        task = asyncio.create_task(_write_status_on_and_on(scene, writes))
        yield writes
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return
    fake = scene.fake

    def write_first(asked: ClusterRequest) -> None:
        if asked.plural == "deployments":
            seen = fake.store["deployments", scene.namespace, "asr-worker"]
            writes[0] += 1
            generation = {"status": {"observedGeneration": writes[0]}}
            fake.write("deployments", merged(seen, generation))

    fake.refuse = write_first
    yield writes
    fake.refuse = lambda _: None


async def _write_status_on_and_on(scene: Scene, writes: list[int]) -> None:
    url = path(rest_client.APPS, scene.namespace, "deployments", "asr-worker", "status")
    for number in itertools.count(1):
        await scene.admin.patch(url, {"status": {"collisionCount": number}})
        writes[0] = number


async def target_of(scene: Scene) -> Target:
    found = await Cluster(scene.admin, "test").target(scene.namespace, "asr-worker")
    assert found is not None
    return found


async def test_a_controller_that_keeps_writing_the_status_does_not_stop_the_scaling(
    scene: Scene, loop: PoolReconciler
) -> None:
    scene.pods_run = False
    await scene.deployment()
    await scene.pool()
    async with busy_controller(scene) as writes:
        for replicas in (3, 2, 0, 1):
            await scene.pause_at(replicas)
            await loop.tick()
            assert await scene.replicas() == replicas
    assert writes[0] > 8
    assert await scene.steps() == [(0, 3), (3, 2), (2, 0), (0, 1)]


@pytest.mark.parametrize(("found", "theirs"), [(0, 4), (2, 0), (2, 4)])
async def test_another_writer_of_the_replicas_is_not_overwritten(
    scene: Scene, found: int, theirs: int
) -> None:
    """From and to zero as well: a Scale leaves out `spec.replicas` where it is 0."""
    await scene.deployment(found)
    cluster, before = Cluster(scene.admin, "test"), await target_of(scene)
    await scene.admin.set_replicas(scene.namespace, "asr-worker", theirs)
    with pytest.raises(ClusterUnavailable) as refused:
        await cluster.scale(before, 3)
    assert refused.value.reply_status == 422
    assert await scene.replicas() == theirs
    await cluster.scale(await target_of(scene), 3)
    assert await scene.replicas() == 3


async def test_a_deployment_that_was_made_anew_is_another_one(scene: Scene) -> None:
    await scene.deployment(2)
    before = await target_of(scene)
    url = path(rest_client.APPS, scene.namespace, "deployments", "asr-worker")
    await scene.admin.delete(url)

    async def is_gone() -> bool:
        return await scene.admin.find(url) is None

    await scene.until(is_gone, what="the Deployment is gone")
    await scene.deployment(2)
    with pytest.raises(ClusterUnavailable) as refused:
        await Cluster(scene.admin, "test").scale(before, 3)
    assert refused.value.reply_status == 422


@pytest.mark.parametrize(("refusals", "is_scaled"), [(3, True), (4, False)])
async def test_a_server_that_asks_for_patience_gets_it_for_a_while(
    scene: Scene, loop: PoolReconciler, refusals: int, is_scaled: bool
) -> None:
    if scene.fake is None:
        pytest.skip("a real API server is not made to refuse")
    left = [refusals]

    def refuse(asked: ClusterRequest) -> Refused | None:
        if asked.resource != "deployments/scale" or not left[0]:
            return None
        left[0] -= 1
        return Refused(429, "TooManyRequests", "please try again later")

    scene.pods_run = False
    await scene.deployment()
    await scene.pool(scaling={"paused": True, "pausedReplicas": 2})
    scene.fake.refuse = refuse
    if is_scaled:
        await loop.tick()
    else:
        with pytest.raises(ClusterUnavailable, match="try again later"):
            await loop.tick()
    assert await scene.replicas() == (2 if is_scaled else 0)
