"""The operator program: one task per WorkerPool, one Lease per namespace, metrics, liveness."""

from __future__ import annotations

import asyncio
import socket
import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from prometheus_client import CollectorRegistry, make_wsgi_app

from asr_core.errors import AsrError, ClusterUnavailable
from asr_core.process.listening import WsgiServer
from asr_core.process.logs import get_logger
from asr_operator.cluster import rest_client
from asr_operator.cluster.leader_election import Leases
from asr_operator.cluster.objects import Cluster
from asr_operator.cluster.rest_client import ClusterConfiguration, Json, Kube
from asr_operator.health import HealthServer
from asr_operator.reconcile.declared_pools import DeclaredPools, read_declared
from asr_operator.reconcile.metrics import OperatorMetrics
from asr_operator.reconcile.observer import Claimant
from asr_operator.reconcile.queue_client import PoolQueue
from asr_operator.reconcile.reconciler import PoolReconciler
from asr_operator.settings import OperatorSettings

ALL_NAMESPACES = "*"
STALE_SECONDS = 60.0
RELEASE_LABEL = "asr-platform.dev/operator"
_CRD_SECONDS = 60.0
_OWN_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
_log = get_logger(__name__)

Claimants = Callable[[str, str], Sequence[Claimant]]


@dataclass
class _RunningPool:
    uid: str
    release: str
    generation: int
    reconciler: PoolReconciler
    task: asyncio.Task[None]


class Operator:
    """Fed by kopf's watch; `claimants` returns the pools by namespace and Deployment."""

    def __init__(self, settings: OperatorSettings, configuration: ClusterConfiguration) -> None:
        self.settings = settings
        self.metrics = OperatorMetrics(CollectorRegistry())
        self.identity = f"{settings.operator_name or socket.gethostname()}_{uuid.uuid4().hex[:8]}"
        self._pools: dict[tuple[str, str], _RunningPool] = {}
        self._finalizing: set[asyncio.Task[None]] = set()
        self._stop_metrics: Callable[[], None] = lambda: None
        self._health: HealthServer | None = None
        self._api = Kube(configuration)
        # Leases have their own threads: slow requests of pools must not delay a renewal.
        lease_api = Kube(configuration, threads=2)
        self._leases = Leases(lease_api, self.identity, settings.operator_lease_seconds)
        self._cluster = Cluster(self._api, self.identity)
        self._declared: tuple[DeclaredPools, asyncio.Task[None]] | None = None

    async def start(self) -> None:
        """Waits until the API server knows WorkerPools: `ClusterUnavailable` after a minute. From
        then on the liveness probe is answered.
        """
        declared = read_declared(self.settings.worker_pools_file)
        if self.settings.metrics_port:
            app = make_wsgi_app(self.metrics.registry)
            host, port = self.settings.metrics_address, self.settings.metrics_port
            self._stop_metrics = WsgiServer(host, port, app, name="metrics").close
        await _wait_for_crd(self._api)
        if self.settings.liveness_url:
            self._health = HealthServer(self.settings.liveness_url, self.stale_pools)
            await self._health.start()
        if declared:  # without the Lease: only this operator has the declaration
            namespace = namespaces_of(self.settings)[0]
            pools = DeclaredPools(self._api, self._cluster, namespace, declared)
            task = asyncio.create_task(pools.run(), name="declared pools")
            self._declared = (pools, task)

    def pool_changed(self, pool: Json, claimants: Claimants) -> None:
        """A pool was listed, added or modified."""
        meta = pool["metadata"]
        key, generation = (meta["namespace"], meta["name"]), int(meta.get("generation") or 0)
        release = (meta.get("labels") or {}).get(RELEASE_LABEL, "")
        running = self._pools.get(key)
        if running is not None and (running.uid, running.release) == (meta["uid"], release):
            if generation != running.generation:
                running.generation = generation
                running.reconciler.wake()
            return
        if running is not None:  # recreated while the watch was down, or moved to another release
            del self._pools[key]
            self._stop(running, None)
        if release and self.settings.operator_release not in ("", release):
            return
        reconciler = self._reconciler(*key, release, claimants)
        task = asyncio.create_task(self._run(reconciler), name=f"pool {key[0]}/{key[1]}")
        self._pools[key] = _RunningPool(meta["uid"], release, generation, reconciler, task)

    def pool_deleted(self, pool: Json) -> None:
        """A pool was deleted."""
        meta = pool["metadata"]
        key = (meta["namespace"], meta["name"])
        running = self._pools.get(key)
        if running is not None and running.uid == meta["uid"]:
            del self._pools[key]
            self._stop(running, pool)
        if self._declared:
            self._declared[0].wake()

    def stale_pools(self) -> list[str]:
        """Pools without a tick for a minute, or for three of their intervals if that is longer."""
        now = time.monotonic()
        return [
            f"{namespace}/{name}"
            for (namespace, name), running in self._pools.items()
            if now - running.reconciler.ticked_at
            > max(STALE_SECONDS, 3 * running.reconciler.poll_seconds)
        ]

    async def stop(self) -> None:
        """Stops all pools, then releases the Leases, so that the next operator starts at once."""
        if self._declared:
            self._declared[1].cancel()
            await asyncio.gather(self._declared[1], return_exceptions=True)
        for running in self._pools.values():
            self._stop(running, None)
        self._pools.clear()
        await asyncio.gather(*self._finalizing, return_exceptions=True)
        await self._leases.release_all()
        if self._health:
            await self._health.close()
        self._stop_metrics()
        await self._api.close()
        await self._leases.close()

    def _reconciler(
        self, namespace: str, name: str, release: str, claimants: Claimants
    ) -> PoolReconciler:
        leading = self.metrics.leading.labels(namespace)
        leading.set_function(lambda: float(self._leases.is_held(namespace)))
        return PoolReconciler(
            namespace=namespace,
            name=name,
            cluster=self._cluster,
            queue=PoolQueue(self._cluster, namespace, self.settings),
            lease=self._leases.lease(namespace, release),
            claimants=lambda target: claimants(namespace, target),
            metrics=self.metrics,
        )

    async def _run(self, reconciler: PoolReconciler) -> None:
        """Returns if the pool was deleted and the watch has missed it."""
        _log.info("pool started", namespace=reconciler.namespace, pool=reconciler.name)
        await reconciler.run()
        self._pools.pop((reconciler.namespace, reconciler.name), None)
        await reconciler.close()

    def _stop(self, running: _RunningPool, deleted: Json | None) -> None:
        """Cancels a pool's task. `deleted` is the last state of a pool that was deleted."""
        running.task.cancel()
        task = asyncio.create_task(self._finalize(running, deleted))
        self._finalizing.add(task)
        task.add_done_callback(self._finalizing.discard)

    async def _finalize(self, running: _RunningPool, deleted: Json | None) -> None:
        with suppress(asyncio.CancelledError):
            await running.task
        reconciler = running.reconciler
        try:
            if deleted is not None:
                await reconciler.finalize(deleted)
        except AsrError as error:
            is_uninstall = isinstance(error, ClusterUnavailable) and error.is_refusal
            log = _log.info if is_uninstall else _log.warning
            log("finalize failed", pool=reconciler.name, error=str(error))
        finally:
            await reconciler.close()
        _log.info("pool stopped", namespace=reconciler.namespace, pool=reconciler.name)


async def _wait_for_crd(api: Kube) -> None:
    deadline = time.monotonic() + _CRD_SECONDS
    while True:
        try:
            await api.get(f"/{rest_client.POOLS}")
            return
        except ClusterUnavailable as error:
            if time.monotonic() > deadline:
                raise
            _log.info("waiting for the WorkerPool resource", error=error.message)
        await asyncio.sleep(2)


def namespaces_of(settings: OperatorSettings) -> tuple[str, ...]:
    """The namespaces to serve: as set, else the pod's own, else `default`; `*` means all."""
    if settings.watch_namespaces:
        return settings.watch_namespaces
    own = _OWN_NAMESPACE.read_text().strip() if _OWN_NAMESPACE.exists() else ""
    return (own or "default",)
