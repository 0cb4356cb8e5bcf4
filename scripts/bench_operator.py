"""What one look of the operator costs, with ten waiting tasks and with a hundred thousand.

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
from pathlib import Path

import redis
import structlog
import uuid_utils
from prometheus_client import CollectorRegistry

from asr_core.queue import Producer, RedisConnection
from asr_core.settings import OperatorSettings, QueueSettings
from asr_core.task import NewTask
from asr_operator.cluster import Cluster
from asr_operator.lease import Lease
from asr_operator.metrics import OperatorMetrics
from asr_operator.pool_loop import PoolLoop
from asr_operator.pool_queue import PoolQueue
from asr_operator.pool_status import parse_spec
from cluster_lab import RedisProgram, Scene, on_kmock

Times = list[float]


async def submit(scene: Scene, count: int) -> None:
    """In parallel, over a hundred tenants: most of it is held behind their windows."""
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


async def measure(scene: Scene, loop: PoolLoop, rounds: int) -> tuple[Times, Times]:
    """Seconds of `rounds` ticks, and of as many readings of the queue."""
    pool = await loop.cluster.pool(scene.namespace, "gpu")
    assert pool is not None
    ticks, looks = [], []
    for _ in range(rounds):
        started_at = time.perf_counter()
        await loop.tick()
        ticks.append(time.perf_counter() - started_at)
        started_at = time.perf_counter()
        await loop.queue.look(parse_spec(pool))
        looks.append(time.perf_counter() - started_at)
    return ticks, looks


async def run(depths: list[int], rounds: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        server = RedisProgram(Path(folder)).start()
        try:
            async with on_kmock(server, Path(folder)) as scene:
                await bench(scene, depths, rounds)
        finally:
            server.kill()


async def bench(scene: Scene, depths: list[int], rounds: int) -> None:
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
    loop = PoolLoop(scene.namespace, "gpu", cluster, queue, lease, lambda _: [], metrics)
    submitted, medians = 0, []
    for depth in depths:
        await submit(scene, depth - submitted)
        submitted = depth
        await settle(scene)
        await measure(scene, loop, 5)
        ticks, looks = await measure(scene, loop, rounds)
        medians.append((statistics.median(ticks), statistics.median(looks)))
        print(f"{depth:>7} waiting: tick {told(ticks)}, of it the queue {told(looks)}")
    for what, first, last in zip(("tick", "queue"), medians[0], medians[-1], strict=True):
        print(f"{what}: {last / first:.2f} times as long with {depths[-1]} as with {depths[0]}")
    await loop.close()
    await scene.close()


async def settle(scene: Scene) -> None:
    """Until Redis has rewritten its AOF, which so many submissions set off in the background."""
    with redis.Redis(port=scene.redis.port) as client:
        while any(
            client.info("persistence")[f"aof_rewrite_{state}"]
            for state in ("in_progress", "scheduled")
        ):
            await asyncio.sleep(0.2)


def told(times: Times) -> str:
    slowest = statistics.quantiles(times, n=20)[-1]
    return f"{statistics.median(times) * 1000:.1f} ms (95th {slowest * 1000:.1f} ms)"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--depths", type=int, nargs="+", default=[10, 100_000])
    parser.add_argument("--rounds", type=int, default=100)
    arguments = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    asyncio.run(run(arguments.depths, arguments.rounds))
