"""The operator as a program, a real Redis, and a cluster: kmock's stand-in, or a real API server.

Every test that asks for `scene` runs on both; the real one is skipped where none is named.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from prometheus_client import CollectorRegistry

from asr_operator.cluster.leader_election import Lease
from asr_operator.cluster.objects import Cluster
from asr_operator.reconcile.metrics import OperatorMetrics
from asr_operator.reconcile.queue_client import PoolQueue
from asr_operator.reconcile.reconciler import PoolReconciler
from asr_operator.settings import OperatorSettings
from cluster_lab import RedisProgram, Scene, on_cluster, on_kmock

REAL = "a real API server is used by `make test-cluster`, with KUBECONFIG"


@pytest.fixture(scope="session")
def _redis_program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisProgram]:
    program = RedisProgram(tmp_path_factory.mktemp("operator-redis")).start()
    yield program
    program.kill()


@pytest.fixture
def redis_program(_redis_program: RedisProgram) -> RedisProgram:
    """One server for all tests, running and empty."""
    if _redis_program.process is None:
        _redis_program.start()
    _redis_program.flush()
    return _redis_program


@pytest_asyncio.fixture(params=["kmock", pytest.param("cluster", marks=pytest.mark.cluster)])
async def scene(
    request: pytest.FixtureRequest, redis_program: RedisProgram, tmp_path: Path
) -> AsyncIterator[Scene]:
    """A namespace with the Secret `redis`, a kubelet and workers that start with their pods."""
    if request.param == "cluster" and os.environ.get("ASR_TEST_CLUSTER") != "1":
        pytest.skip(REAL)
    make = on_cluster if request.param == "cluster" else on_kmock
    async with make(redis_program, tmp_path) as made:
        await made.admin.secret(made.namespace, "redis", url=redis_program.url)
        running = asyncio.create_task(made.kubelet.run())
        try:
            yield made
        finally:
            made.kill_programs()  # first: whatever hangs below, no operator is left behind
            running.cancel()
            (outcome,) = await asyncio.gather(running, return_exceptions=True)
            await made.close()
            assert isinstance(outcome, asyncio.CancelledError), f"the kubelet died: {outcome!r}"


@pytest_asyncio.fixture
async def loop(scene: Scene) -> AsyncIterator[PoolReconciler]:
    """The reconciler of the pool `gpu`, ticked by the test, with the Lease held."""
    lease = Lease(scene.admin, scene.namespace, "test", duration_seconds=600)
    await lease.attempt()
    cluster = Cluster(scene.admin, "test")
    settings = OperatorSettings(_env_file=None, lease_seconds=0.1)
    queue = PoolQueue(cluster, scene.namespace, settings)
    metrics = OperatorMetrics(CollectorRegistry())
    made = PoolReconciler(scene.namespace, "gpu", cluster, queue, lease, lambda _: [], metrics)
    yield made
    await made.close()
