"""Executes a plan: cordon, check again, write deletion costs, then the replicas.

The Lease is checked right before each write, so that an operator that has lost it stops at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

from asr_core.errors import ClusterUnavailable, QueueUnavailable
from asr_core.process.logs import get_logger
from asr_operator.cluster.objects import Cluster, Target
from asr_operator.errors import LeaseLost
from asr_operator.planning.observation import PodState
from asr_operator.planning.plan import Plan
from asr_operator.reconcile.observer import Snapshot
from asr_operator.reconcile.queue_client import PoolQueue

# A scale may be repeated, since its patch tests the value that it replaces.
_RETRIABLE = {409, 429, 500, 502, 503, 504}
_SCALE_PAUSES_SECONDS = (0.1, 0.2, 0.4)
_TEST_FAILED = 422
_log = get_logger(__name__)


class Executor:
    """Writes for one pool. `holds_lease` is the Lease's `held`."""

    def __init__(self, cluster: Cluster, queue: PoolQueue, holds_lease: Callable[[], bool]) -> None:
        self._cluster = cluster
        self._queue = queue
        self._holds_lease = holds_lease
        self.costs_refused = ""

    async def prepare(self, snapshot: Snapshot, plan: Plan) -> Plan:
        """Cordons and uncordons. Returns the plan, or one that keeps the replicas.

        An idle worker may have claimed a task just before its cordon. Claiming checks the cordon
        atomically, so tasks in flight after the cordon are the last ones.
        """
        if not (plan.execute and snapshot.owned):
            return plan
        self._require_lease()
        try:
            await self._queue.cordon(_to_uncordon(snapshot, plan), cordoned=False)
            await self._queue.cordon(plan.cordon, cordoned=True)
            if plan.replicas >= snapshot.target.replicas or not plan.cordon:
                return plan
            in_flight = await self._queue.in_flight(snapshot.spec)
        except QueueUnavailable as error:
            if plan.replicas >= snapshot.target.replicas:
                return plan
            reason = f"no worker is removed while Redis is unavailable: {error.message}"
            return _postponed(snapshot, plan, reason)
        was_idle = {worker.consumer for worker in snapshot.observation.workers if not worker.busy}
        now_busy = [name for name in plan.cordon if name in was_idle and in_flight.get(name)]
        if not now_busy:
            return plan
        await self._uncordon(now_busy)
        return _postponed(snapshot, plan, f"{', '.join(now_busy)} has just started a task")

    async def scale(self, snapshot: Snapshot, plan: Plan) -> None:
        """Writes deletion costs if pods will be removed, then the replicas.

        Raises `LeaseLost`, or `ClusterUnavailable`: 409 if another writer has set another number.
        """
        if plan.replicas < snapshot.target.replicas:
            await self._write_costs(snapshot, plan)
        await self._write_replicas(snapshot.target, plan.replicas)

    async def start(self, target: Target, replicas: int) -> None:
        """Unpauses a Deployment; sets `replicas` only if it has never run."""
        self._require_lease()
        await self._cluster.start(target, replicas)

    async def restore(self, target: Target, replicas: int) -> None:
        """Sets the original replicas. Raises as `scale` does."""
        await self._write_replicas(target, replicas)

    async def _write_replicas(self, target: Target, replicas: int) -> None:
        for pause_seconds in (*_SCALE_PAUSES_SECONDS, None):
            self._require_lease()
            try:
                await self._cluster.scale(target, replicas)
                return
            except ClusterUnavailable as error:
                if error.reply_status == _TEST_FAILED:
                    await self._other_writer(target, replicas, error)
                    return
                if error.reply_status not in _RETRIABLE or pause_seconds is None:
                    raise
            await asyncio.sleep(pause_seconds)

    async def _other_writer(
        self, target: Target, replicas: int, refusal: ClusterUnavailable
    ) -> None:
        """Returns if the Deployment already has `replicas`; else raises."""
        now = await self._cluster.target(target.namespace, target.name)
        if now is None or now.uid != target.uid:
            raise ClusterUnavailable(
                f"Deployment {target.name!r} was deleted meanwhile", reply_status=409
            ) from refusal
        if now.replicas == replicas:
            return
        if now.replicas == target.replicas:
            raise refusal  # the patch was refused for another reason
        raise ClusterUnavailable(
            f"Deployment {target.name!r} was scaled from {target.replicas} to {now.replicas} by "
            f"another writer, before this operator could set {replicas}",
            reply_status=409,
        ) from refusal

    async def _write_costs(self, snapshot: Snapshot, plan: Plan) -> None:
        now = snapshot.pods.costs  # of the Deployment's own pods; the plan may have others
        changed = [(pod, cost) for pod, cost in plan.deletion_costs if now.get(pod, cost) != cost]
        self._require_lease()
        writes = (
            self._cluster.set_deletion_cost(snapshot.target.namespace, pod, cost)
            for pod, cost in changed
        )
        refusal = ""
        for outcome in await asyncio.gather(*writes, return_exceptions=True):
            if isinstance(outcome, ClusterUnavailable) and outcome.reply_status == 403:
                refusal = outcome.message
            elif isinstance(outcome, BaseException):
                raise outcome
        if refusal and not self.costs_refused:
            _log.warning("deletion costs are refused", error=refusal)
        if changed:  # keep the first message: later ones only name other pods
            self.costs_refused = refusal and (self.costs_refused or refusal)

    async def _uncordon(self, consumers: list[str]) -> None:
        try:
            await self._queue.cordon(tuple(consumers), cordoned=False)
        except QueueUnavailable as error:  # the next tick uncordons the rest
            _log.warning("cordon not removed", error=error.message)

    def _require_lease(self) -> None:
        if not self._holds_lease():
            raise LeaseLost("this operator is no longer the leader")


def _to_uncordon(snapshot: Snapshot, plan: Plan) -> tuple[str, ...]:
    """Workers of terminating pods stay cordoned until they have received their signal."""
    terminating = {pod.name for pod in snapshot.pods.observed if pod.state is PodState.TERMINATING}
    gone = {worker.consumer for worker in snapshot.observation.workers if worker.pod in terminating}
    return tuple(consumer for consumer in plan.uncordon if consumer not in gone)


def _postponed(snapshot: Snapshot, plan: Plan, reason: str) -> Plan:
    message = f"{plan.message}; postponed: {reason}"
    return replace(plan, replicas=snapshot.target.replicas, message=message)
