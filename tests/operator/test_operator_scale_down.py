"""Who is taken: over many random scale-downs never a busy worker while an idle one exists."""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
import pytest_asyncio

from asr_core.errors import ClusterUnavailable
from asr_core.queue import BacklogReader, RedisConnection
from asr_operator.cluster import rest_client
from asr_operator.cluster.rest_client import path
from asr_operator.reconcile.reconciler import PoolReconciler
from cluster_lab import Scene
from cluster_lab.objects import Refused, merged
from cluster_lab.server import ClusterRequest
from cluster_lab.worker_process import WorkerProcess

pytestmark = pytest.mark.asyncio
SCALE_DOWNS = int(os.environ.get("ASR_TEST_SCALE_DOWNS", "20"))
MOST = 8


@dataclass
class Stage:
    """A pool of up to eight pods, each a real process, and the operator's loop, ticked by hand."""

    scene: Scene
    loop: PoolReconciler
    reader: BacklogReader
    idle_processes: asyncio.Queue[WorkerProcess]
    at_work: dict[str, WorkerProcess] = field(default_factory=dict)

    async def start_pod(self, pod: str) -> None:
        process = await self.idle_processes.get()  # one may still be draining
        await process.start(pod)
        self.at_work[pod] = process

    async def stop_pod(self, pod: str) -> None:
        await self.at_work[pod].stop()
        self.idle_processes.put_nowait(self.at_work.pop(pod))

    async def in_hand(self) -> dict[str, int]:
        """Tasks by pod, of the pods that are not ending."""
        held = await self.reader.in_flight()
        return {pod: held.get(each.consumer, 0) for pod, each in self.at_work.items()}

    async def pods(self) -> tuple[set[str], set[str]]:
        """Names: ready and staying, ending."""
        pods = await self.scene.admin.items(path(rest_client.CORE, self.scene.namespace, "pods"))
        ending = {p["metadata"]["name"] for p in pods if p["metadata"].get("deletionTimestamp")}
        return {p["metadata"]["name"] for p in pods if _is_ready(p)} - ending, ending

    async def settle(self, replicas: int) -> None:
        """Until so many pods are ready and none is ending."""
        deadline = time.monotonic() + 120  # a dozen processes start on a busy machine
        while True:
            ready, ending = await self.pods()
            if len(ready) == replicas and not ending and ready == set(self.at_work):
                return
            assert time.monotonic() < deadline, (ready, ending, self.at_work)
            await asyncio.sleep(0.02)


@pytest_asyncio.fixture
async def stage(scene: Scene, loop: PoolReconciler) -> AsyncIterator[Stage]:
    options = {"url": scene.redis.url, "lease_seconds": 5, "throughput": 10.0}
    # Tasks are long enough that no observation misses one, and of different lengths.
    processes = [WorkerProcess({**options, "task_seconds": 0.3 + 0.1 * n}) for n in range(MOST + 4)]
    free: asyncio.Queue[WorkerProcess] = asyncio.Queue()
    for process in processes:
        free.put_nowait(process)
    connection = RedisConnection(scene.redis.settings())
    made = Stage(scene, loop, BacklogReader(connection, scene.settings), free)
    scene.kubelet.on_start, scene.kubelet.on_stop = made.start_pod, made.stop_pod
    yield made
    for process in processes:
        await process.end()
    await connection.close()


async def test_no_busy_worker_is_taken_while_an_idle_one_exists(stage: Stage) -> None:
    scene, chance = stage.scene, random.Random(7)
    wanted = SCALE_DOWNS if scene.fake else min(SCALE_DOWNS, 20)
    await scene.submit(0)
    await scene.deployment(MOST)
    await scene.pool(scaling={"maxReplicas": MOST, "maxStep": {"up": MOST, "down": MOST}})
    downs = taken = busy_beside = 0
    while downs < wanted:
        await scene.pause_at(MOST)
        await stage.loop.tick()
        await stage.settle(MOST)
        # As many tasks as are wanted now, never a queue: where all are busy nobody is taken.
        await scene.submit(chance.randint(0, MOST - 2) - await scene.open_tasks())
        await asyncio.sleep(chance.uniform(0, 0.3))  # claims before and while it observes
        await scene.pause_at(MOST - chance.randint(1, MOST - 1))
        late = asyncio.create_task(scene.submit(chance.randint(0, 2)))
        ready, _ = await stage.pods()
        await stage.loop.tick()
        staying, ending = await stage.pods()
        in_hand = await stage.in_hand()
        await late
        removed = ready - staying
        downs += bool(removed)
        taken += len(removed)
        busy_beside += sum(bool(in_hand.get(pod)) for pod in staying)
        busy = {pod for pod in removed & ending if in_hand.get(pod)}
        assert not busy, f"{busy} were taken with a task in hand"
    await scene.pause_at(MOST)
    await stage.loop.tick()

    async def is_done() -> bool:
        return await scene.open_tasks() == 0

    await scene.until(is_done, what="every task done")
    totals = await stage.reader.totals()
    assert (totals.completed, totals.failed) == (totals.submitted, 0)
    buckets = await stage.reader.stats(minutes=60)
    assert sum(each.crashed + each.retried for each in buckets) == 0, "each was begun once"
    print(f"{downs} scale-downs took {taken} idle pods; {busy_beside} busy ones stayed")
    assert taken > wanted
    assert busy_beside > wanted


async def test_refused_deletion_costs_are_told_and_do_not_stop_the_scaling(stage: Stage) -> None:
    scene = stage.scene
    if scene.fake is None:
        pytest.skip("the role of a real cluster is not changed")

    def refuse(asked: ClusterRequest) -> Refused | None:
        if (asked.verb, asked.resource) == ("patch", "pods"):
            return Refused(403, "Forbidden", "pods is forbidden: cannot patch resource")
        return None

    scene.fake.refuse = refuse
    await scene.deployment(3)
    await scene.pool()
    await stage.settle(3)
    await scene.pause_at(2)
    await stage.loop.tick()
    await stage.settle(2)
    await scene.pause_at(1)
    await stage.loop.tick()
    await stage.settle(1)
    assert await scene.steps() == [(3, 2), (2, 1)]
    assert (await scene.reasons()).count("DeletionCostRefused") == 1, "told once"


async def test_a_scale_down_that_is_taken_back_uncordons_at_once(stage: Stage) -> None:
    """The Deployment cannot be written; before the next try there is work again."""
    scene = stage.scene
    if scene.fake is None:
        pytest.skip("a real API server is not made to fail")

    def refuse(asked: ClusterRequest) -> Refused | None:
        if asked.resource == "deployments/scale":
            return Refused(500, "InternalError", "etcd is slow")
        return None

    await scene.deployment(3)
    await scene.pool()
    await stage.settle(3)
    await scene.pause_at(1)
    scene.fake.refuse = refuse
    with pytest.raises(Exception, match="etcd is slow"):
        await stage.loop.tick()
    assert sum(each.cordoned for each in await stage.reader.workers()) == 2
    scene.fake.refuse = lambda _: None
    await scene.pause_at(3)
    await stage.loop.tick()
    assert not any(each.cordoned for each in await stage.reader.workers())
    assert (await scene.condition("Conflict"))[0] == "False"
    assert await scene.replicas() == 3


@pytest.mark.parametrize(("theirs", "is_ours"), [(1, True), (2, False)])
async def test_another_writer_in_the_last_moment_stops_only_another_number(
    stage: Stage, theirs: int, is_ours: bool
) -> None:
    """The Deployment changes between observation and write."""
    scene, fake = stage.scene, stage.scene.fake
    if fake is None:
        pytest.skip("a real API server is not made to wait")

    def scaled_first(asked: ClusterRequest) -> None:
        if asked.resource == "deployments/scale" and fake.refuse is scaled_first:
            fake.refuse = lambda _: None
            snapshot = fake.store["deployments", scene.namespace, "asr-worker"]
            fake.write("deployments", merged(snapshot, {"spec": {"replicas": theirs}}))

    await scene.deployment(3)
    await scene.pool()
    await stage.settle(3)
    await scene.pause_at(1)
    fake.refuse = scaled_first
    if is_ours:
        await stage.loop.tick()
    else:
        with pytest.raises(ClusterUnavailable, match="another writer"):
            await stage.loop.tick()
    assert await scene.replicas() == theirs


async def test_a_worker_that_claims_in_the_last_moment_is_not_taken(stage: Stage) -> None:
    """Idle when it was observed, busy when it was cordoned: the scale-down waits."""
    scene = stage.scene
    await scene.deployment(2)
    await scene.pool()
    await stage.settle(2)
    await scene.pause_at(1)
    observe, queue = stage.loop.queue.observe, stage.loop.queue

    async def observe_and_submit(spec: object) -> object:
        snapshot = await observe(spec)  # type: ignore[arg-type]
        await scene.submit(8)  # enough for both to be busy for seconds

        async def are_busy() -> bool:
            return all((await stage.in_hand()).values())

        await scene.until(are_busy, what="both are busy")
        return snapshot

    queue.observe = observe_and_submit  # type: ignore[method-assign, assignment]
    await stage.loop.tick()
    assert await scene.replicas() == 2
    assert not any(each.cordoned for each in await stage.reader.workers())


def _is_ready(pod: rest_client.Json) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or []
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)
