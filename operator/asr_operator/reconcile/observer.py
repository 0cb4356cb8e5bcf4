"""Reads everything that a decision needs: the pool, its Deployment and pods, its queue.

Read-only. Guards that the plan cannot detect itself are found here, as its `Hold`.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from asr_core.errors import AsrError, ClusterUnavailable
from asr_core.process.logs import get_logger
from asr_core.queue import WorkerRecord
from asr_operator.cluster.objects import Cluster, Pods, Target
from asr_operator.cluster.rest_client import Json
from asr_operator.planning.observation import (
    Hold,
    Measurement,
    Observation,
    PodState,
    Signal,
    WorkerObservation,
)
from asr_operator.planning.spec import PoolSpec
from asr_operator.reconcile.queue_client import PoolQueue, QueueSnapshot

AUTOSCALERS_SECONDS = 30.0
_log = get_logger(__name__)


@dataclass(frozen=True, order=True)
class Claimant:
    """A WorkerPool that names a Deployment. The smallest one owns it: the oldest, ties by uid."""

    created: str
    uid: str
    name: str


@dataclass(frozen=True)
class Snapshot:
    """`owned` is False if an older pool owns the Deployment: nothing of it may be changed."""

    pool: Json
    spec: PoolSpec
    target: Target
    pods: Pods
    observation: Observation
    owned: bool


class Observer:
    """Reads for one pool. `claimants` are the pools that name its Deployment, itself included."""

    def __init__(
        self,
        cluster: Cluster,
        queue: PoolQueue,
        claimants: Callable[[str], Sequence[Claimant]],
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._cluster = cluster
        self._queue = queue
        self._claimants = claimants
        self._clock = clock
        self._autoscalers: list[str] = []
        self._autoscalers_asked_at = float("-inf")

    async def observe(self, pool: Json, spec: PoolSpec, target: Target) -> Snapshot:
        """Raises `ClusterUnavailable`; an unreachable queue is part of the snapshot."""
        now = self._clock()
        pods = await self._cluster.pods(target, now)
        queue = await self._queue.observe(spec)
        older = await self._older_pool(pool, target)
        status = pool.get("status") or {}
        observation = Observation(
            now=now,
            queue=queue.queue,
            replicas=target.replicas,
            workers=tuple(_workers(queue, pods)),
            pods=pods.observed,
            written=last_written(status, target.replicas),
            template=pods.template,
            model=target.model,
            gpu=target.gpu,
            measurements=measurements(status),
            hold=older
            or await self._autoscaler(target, now)
            or await self._mismatch(spec, pods, queue),
        )
        return Snapshot(pool, spec, target, pods, observation, owned=older is None)

    async def _older_pool(self, pool: Json, target: Target) -> Hold | None:
        meta = pool["metadata"]
        own = Claimant(meta["creationTimestamp"], meta["uid"], meta["name"])
        for older in sorted(self._claimants(target.name)):
            if older < own:
                # The watch may have missed its deletion.
                found = await self._cluster.pool(meta["namespace"], older.name)
                if found is not None and found["metadata"]["uid"] == older.uid:
                    return Hold(
                        "Conflict",
                        "OlderPool",
                        f"WorkerPool {older.name!r} is older and owns Deployment {target.name!r}",
                    )
        return None

    async def _autoscaler(self, target: Target, now: float) -> Hold | None:
        if now - self._autoscalers_asked_at >= AUTOSCALERS_SECONDS:
            self._autoscalers_asked_at = now
            try:
                self._autoscalers = await self._cluster.autoscalers_of(target)
            except ClusterUnavailable as error:
                if error.reply_status != 403:
                    raise
                _log.info("autoscalers are not checked", error=error.message)
                self._autoscalers_asked_at = float("inf")
        if not self._autoscalers:
            return None
        names = ", ".join(self._autoscalers)
        return Hold(
            "Conflict",
            "HorizontalPodAutoscaler",
            f"HorizontalPodAutoscaler {names} scales Deployment {target.name!r} as well: "
            "delete it, or this WorkerPool",
        )

    async def _mismatch(self, spec: PoolSpec, pods: Pods, queue: QueueSnapshot) -> Hold | None:
        if queue.queue.signal is Signal.UNREACHABLE:
            return None
        reporting = {pod_of(worker.worker, pods) for worker in queue.workers}
        silent = {
            p.name for p in pods.observed if p.state is PodState.READY and p.name not in reporting
        }
        if not silent:
            return None
        try:
            others = await self._queue.workers_of_other_pools(spec)
        except AsrError:
            return None  # the next tick reports that the queue is unreachable
        for worker in others:
            pod = pod_of(worker.worker, pods)
            if pod in silent:
                return Hold(
                    "PoolMismatch",
                    "OtherPool",
                    f"pod {pod} serves pool {worker.pool!r}, this WorkerPool is for {spec.pool!r}",
                )
        return None


def last_written(status: Mapping[str, Any], replicas: int) -> int | None:
    """The replicas that this operator wrote last, given the current `replicas`.

    The status records the intent before the Deployment is changed. If the operator died in between,
    either number counts as its own.
    """
    last = status.get("lastScale")
    if not last:
        return None
    if not last["done"] and replicas in (last["from"], last["to"]):
        return replicas
    return int(last["to"])


def measurements(status: Mapping[str, Any]) -> tuple[Measurement, ...]:
    """Measurements of pod templates from the status, the latest first.

    Empty for a status of an older release, which does not say which template was measured.
    """
    return tuple(
        Measurement(
            template=each["template"],
            model=each.get("model", ""),
            device=each.get("device", ""),
            throughput=float(each.get("throughput") or 0),
            startup_seconds=float(each.get("startupSeconds") or 0),
        )
        for each in status.get("measurements") or []
    )


def pod_of(worker: str, pods: Pods) -> str:
    """The pod of a worker; several workers in one pod have its name with a numeric suffix."""
    return worker if worker in pods.costs else re.sub(r"-\d+$", "", worker)


def _workers(queue: QueueSnapshot, pods: Pods) -> list[WorkerObservation]:
    in_flight = dict(queue.in_flight)
    return [_worker(each, in_flight.get(each.consumer, 0), pods) for each in queue.workers]


def _worker(record: WorkerRecord, in_flight: int, pods: Pods) -> WorkerObservation:
    return WorkerObservation(
        consumer=record.consumer,
        pod=pod_of(record.worker, pods),
        # A heartbeat is up to ten seconds old; pending entries are current.
        busy=max(record.busy, in_flight),
        slots=record.slots,
        in_flight_seconds=record.in_flight_seconds,
        throughput=record.throughput,
        startup_seconds=record.startup_seconds,
        cordoned=record.cordoned,
        model=record.model,
        device=record.device.partition(":")[0],
    )
