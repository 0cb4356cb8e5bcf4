"""The operator as one program: a loop for each WorkerPool, a Lease for each namespace, metrics."""

from __future__ import annotations

import asyncio
import socket
import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from kubernetes.client.configuration import Configuration
from prometheus_client import CollectorRegistry, make_wsgi_app

from asr_core.errors import AsrError, ClusterUnavailable
from asr_core.process.listening import WsgiServer
from asr_core.process.logs import get_logger
from asr_operator.cluster import rest_client
from asr_operator.cluster.leader_election import Lease, lease_name
from asr_operator.cluster.objects import Cluster
from asr_operator.cluster.rest_client import Json, Kube
from asr_operator.health import HealthServer
from asr_operator.reconcile.declared_pools import DeclaredPools, read_declared
from asr_operator.reconcile.executor import LeaseLost
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
class _Running:
    uid: str
    release: str
    generation: int
    loop: PoolReconciler
    task: asyncio.Task[None]


class Operator:
    """Fed with what kopf watches; `claimants` gives the pools by namespace and Deployment."""

    def __init__(self, settings: OperatorSettings, cluster: Configuration) -> None:
        self.settings = settings
        self.metrics = OperatorMetrics(CollectorRegistry())
        self.identity = f"{settings.operator_name or socket.gethostname()}_{uuid.uuid4().hex[:8]}"
        self._pools: dict[tuple[str, str], _Running] = {}
        self._leases: dict[tuple[str, str], tuple[Lease, asyncio.Task[None]]] = {}
        self._endings: set[asyncio.Task[None]] = set()
        self._stop_metrics: Callable[[], None] = lambda: None
        self._health: HealthServer | None = None
        self._api = Kube(cluster)
        # Leases have threads of their own: a slow request of a pool must not cost the right to act.
        self._lease_api = Kube(cluster, threads=2)
        self._cluster = Cluster(self._api, self.identity)
        self._declared: tuple[DeclaredPools, asyncio.Task[None]] | None = None

    async def start(self) -> None:
        """Waits until the API server knows WorkerPools: `ClusterUnavailable` after a minute. From
        then on the liveness probe is answered.
        """
        declared = read_declared(self.settings.worker_pools_file)
        if self.settings.metrics_port:
            answer = make_wsgi_app(self.metrics.registry)
            host, port = self.settings.metrics_address, self.settings.metrics_port
            server = WsgiServer(host, port, answer, name="metrics")
            self._stop_metrics = server.close
        deadline = time.monotonic() + _CRD_SECONDS
        while True:
            try:
                await self._api.get(f"/{rest_client.POOLS}")
                break
            except ClusterUnavailable as error:
                if time.monotonic() > deadline:
                    raise
                _log.info("waiting for the WorkerPool resource", error=error.message)
            await asyncio.sleep(2)
        if self.settings.liveness_url:
            self._health = HealthServer(self.settings.liveness_url, self.stale_pools)
            await self._health.start()
        if declared:  # without the Lease: only this operator knows them
            namespace = namespaces_of(self.settings)[0]
            pools = DeclaredPools(self._api, self._cluster, namespace, declared)
            task = asyncio.create_task(pools.run(), name="declared pools")
            self._declared = (pools, task)

    def saw(self, pool: Json, claimants: Claimants) -> None:
        """A pool exists or has changed."""
        meta = pool["metadata"]
        key, generation = (meta["namespace"], meta["name"]), int(meta.get("generation") or 0)
        release = (meta.get("labels") or {}).get(RELEASE_LABEL, "")
        running = self._pools.get(key)
        if running is not None and (running.uid, running.release) == (meta["uid"], release):
            if generation != running.generation:
                running.generation = generation
                running.loop.wake()
            return
        if running is not None:  # deleted and made anew while nobody watched, or given away
            del self._pools[key]
            self._end(running, None)
        if release and self.settings.operator_release not in ("", release):
            return
        self._pools[key] = self._started(meta["uid"], release, generation, *key, claimants)

    def lost(self, pool: Json) -> None:
        """A pool was deleted."""
        meta = pool["metadata"]
        key = (meta["namespace"], meta["name"])
        running = self._pools.get(key)
        if running is not None and running.uid == meta["uid"]:
            del self._pools[key]
            self._end(running, pool)
        if self._declared:
            self._declared[0].wake()

    def stale_pools(self) -> list[str]:
        """Pools that were not looked at for a minute, or for three of their intervals."""
        now = time.monotonic()
        return [
            f"{namespace}/{name}"
            for (namespace, name), running in self._pools.items()
            if now - running.loop.ticked_at > max(STALE_SECONDS, 3 * running.loop.poll_seconds)
        ]

    async def stop(self) -> None:
        """Stops acting, then lets the next operator begin at once."""
        if self._declared:
            self._declared[1].cancel()
            await asyncio.gather(self._declared[1], return_exceptions=True)
        for running in self._pools.values():
            self._end(running, None)
        self._pools.clear()
        await asyncio.gather(*self._endings, return_exceptions=True)
        for _, task in self._leases.values():
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        for lease, _ in self._leases.values():
            await lease.release()
        if self._health:
            await self._health.close()
        self._stop_metrics()
        await self._api.close()
        await self._lease_api.close()

    def _started(
        self,
        uid: str,
        release: str,
        generation: int,
        namespace: str,
        name: str,
        claimants: Claimants,
    ) -> _Running:
        loop = PoolReconciler(
            namespace=namespace,
            name=name,
            cluster=self._cluster,
            queue=PoolQueue(self._cluster, namespace, self.settings),
            lease=self._lease(namespace, release),
            claimants=lambda target: claimants(namespace, target),
            metrics=self.metrics,
        )
        task = asyncio.create_task(self._run(loop), name=f"pool {namespace}/{name}")
        return _Running(uid, release, generation, loop, task)

    async def _run(self, loop: PoolReconciler) -> None:
        """Returns where the pool is gone and the watch has not told so."""
        _log.info("pool taken up", namespace=loop.namespace, pool=loop.name)
        await loop.run()
        self._pools.pop((loop.namespace, loop.name), None)
        await loop.close()

    def _end(self, running: _Running, deleted: Json | None) -> None:
        """Stops a loop. `deleted` is the pool's last state, where it was deleted."""
        running.task.cancel()
        task = asyncio.create_task(self._ended(running, deleted))
        self._endings.add(task)
        task.add_done_callback(self._endings.discard)

    async def _ended(self, running: _Running, deleted: Json | None) -> None:
        with suppress(asyncio.CancelledError):
            await running.task
        loop = running.loop
        try:
            if deleted is not None:
                await loop.finalize(deleted)
        except (AsrError, LeaseLost) as error:
            is_uninstall = isinstance(error, ClusterUnavailable) and error.is_refusal
            tell = _log.info if is_uninstall else _log.warning
            tell("farewell failed", pool=loop.name, error=str(error))
        finally:
            await loop.close()
        _log.info("pool let go", namespace=loop.namespace, pool=loop.name)

    def _lease(self, namespace: str, release: str) -> Lease:
        key = (namespace, release)
        if key not in self._leases:
            lease = Lease(
                self._lease_api,
                namespace,
                self.identity,
                name=lease_name(release),
                duration_seconds=self.settings.operator_lease_seconds,
            )
            self.metrics.leading.labels(namespace).set_function(lambda: self._leads(namespace))
            task = asyncio.create_task(lease.run(), name=f"lease {namespace} {release}")
            self._leases[key] = (lease, task)
        return self._leases[key][0]

    def _leads(self, namespace: str) -> float:
        leases = [lease for (where, _), (lease, _) in [*self._leases.items()] if where == namespace]
        return float(any(lease.held for lease in leases))


def namespaces_of(settings: OperatorSettings) -> tuple[str, ...]:
    """Those that are served: as set, else the pod's own, else `default`; `*` stands for all."""
    if settings.watch_namespaces:
        return settings.watch_namespaces
    own = _OWN_NAMESPACE.read_text().strip() if _OWN_NAMESPACE.exists() else ""
    return (own or "default",)
