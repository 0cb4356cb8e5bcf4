"""What one tick of the operator costs, with ten waiting tasks and with a hundred thousand.

    python scripts/bench_operator.py

A private Redis; the cluster is a stand-in in the same process, so that the queue is all that grows.
Prints the median and the 95th percentile of a whole tick, and of reading the queue alone.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import statistics
import tempfile
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

import redis
import structlog
import uuid_utils
from prometheus_client import CollectorRegistry

from asr_core.queue import Producer, RedisConnection
from asr_core.settings.queue import QueueSettings
from asr_core.task import NewTask
from asr_operator.cluster.leader_election import Lease
from asr_operator.cluster.objects import Cluster
from asr_operator.planning.spec import PoolSpec
from asr_operator.reconcile.metrics import OperatorMetrics
from asr_operator.reconcile.queue_client import PoolQueue
from asr_operator.reconcile.reconciler import PoolReconciler
from asr_operator.reconcile.status import parse_spec
from asr_operator.settings import OperatorSettings
from cluster_lab import RedisProgram, Scene, on_kmock

Times = list[float]


async def submit(scene: Scene, count: int) -> None:
    """In parallel, over a hundred tenants: most of it is throttled by their windows."""
    connection = RedisConnection(scene.redis.settings(), retries=3)
    producer = Producer(connection, QueueSettings(_env_file=None, queue_cap=1_000_000))
    await producer.prepare()
    numbers = iter(range(count))

    async def work() -> None:
        for number in numbers:
            task_id = str(uuid_utils.uuid7())
            tenant = f"tenant-{number % 100}"
            await producer.submit(
                NewTask(task_id=task_id, bytes=3, duration_seconds=10, tenant=tenant)
            )

    await asyncio.gather(*(work() for _ in range(32)))
    await connection.close()


@dataclass
class Subject:
    """A reconciler of one pool, and its measurements in seconds."""

    loop: PoolReconciler
    spec: PoolSpec
    ticks: Times = field(default_factory=list)
    reads: Times = field(default_factory=list)

    async def measure(self) -> None:
        """One tick, and one reading of the queue."""
        started_at = time.perf_counter()
        await self.loop.tick()
        ticked_at = time.perf_counter()
        await self.loop.queue.observe(self.spec)
        self.ticks.append(ticked_at - started_at)
        self.reads.append(time.perf_counter() - ticked_at)


async def run(depths: list[int], rounds: int) -> None:
    """Alternates between depths, so that other load on the machine affects all of them."""
    async with AsyncExitStack() as stack:
        subjects = [await prepared(stack, depth) for depth in depths]
        for subject in subjects * 5:
            await subject.measure()
        for subject in subjects:
            subject.ticks.clear()
            subject.reads.clear()
        for subject in subjects * rounds:
            await subject.measure()
    for depth, each in zip(depths, subjects, strict=True):
        ticks, reads = milliseconds(each.ticks), milliseconds(each.reads)
        print(f"{depth:>7} waiting: tick {ticks}, of which reading the queue {reads}")
    first, last = subjects[0], subjects[-1]
    for what, less, more in (("tick", first.ticks, last.ticks), ("queue", first.reads, last.reads)):
        ratio = statistics.median(more) / statistics.median(less)
        print(f"{what}: {ratio:.2f} times as long with {depths[-1]} as with {depths[0]}")


async def prepared(stack: AsyncExitStack, depth: int) -> Subject:
    """A Redis of its own with `depth` waiting tasks, and a reconciler."""
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    server = RedisProgram(folder).start()
    stack.callback(server.kill)
    scene = await stack.enter_async_context(on_kmock(server, folder))
    stack.push_async_callback(scene.close)
    await scene.admin.secret(scene.namespace, "redis", url=scene.redis.url)
    await scene.deployment(2)
    await scene.pool(scaling={"paused": True})
    for _ in range(3):
        await scene.kubelet.step()
    lease = Lease(scene.admin, scene.namespace, "bench", duration_seconds=600)
    await lease.attempt()
    cluster = Cluster(scene.admin, "bench")
    queue = PoolQueue(cluster, scene.namespace, OperatorSettings(_env_file=None))
    metrics = OperatorMetrics(CollectorRegistry())
    loop = PoolReconciler(scene.namespace, "gpu", cluster, queue, lease, lambda _: [], metrics)
    stack.push_async_callback(loop.close)
    await submit(scene, depth)
    await settle(scene)
    pool = await cluster.pool(scene.namespace, "gpu")
    assert pool is not None
    return Subject(loop, parse_spec(pool))


async def settle(scene: Scene) -> None:
    """Until Redis has rewritten its AOF, which so many submissions set off in the background."""
    with redis.Redis(port=scene.redis.port, username="admin") as client:
        while any(
            client.info("persistence")[f"aof_rewrite_{state}"]
            for state in ("in_progress", "scheduled")
        ):
            await asyncio.sleep(0.2)


def milliseconds(times: Times) -> str:
    slowest = statistics.quantiles(times, n=20)[-1]
    return f"{statistics.median(times) * 1000:.1f} ms (95th {slowest * 1000:.1f} ms)"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--depths", type=int, nargs="+", default=[10, 100_000])
    parser.add_argument("--rounds", type=int, default=100)
    arguments = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    asyncio.run(run(arguments.depths, arguments.rounds))
