"""Carries out a plan: cordon, look again, deletion costs, and only then the replicas.

The Lease is asked right before each write, so that an operator that has lost it stops at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

from asr_core.errors import ClusterUnavailable, QueueUnavailable
from asr_core.process.logs import get_logger
from asr_operator.cluster.objects import Cluster, Target
from asr_operator.planning.observation import PodState
from asr_operator.planning.plan import Plan
from asr_operator.reconcile.observer import Snapshot
from asr_operator.reconcile.queue_client import PoolQueue

# Statuses that say "not now"; a scale may be repeated, since it tests what it replaces.
_TRY_AGAIN = {409, 429, 500, 502, 503, 504}
_SCALE_PAUSES_SECONDS = (0.1, 0.2, 0.4)
_TEST_FAILED = 422
_log = get_logger(__name__)


class LeaseLost(Exception):
    """Another operator may act now: this one must not."""


class Executor:
    """Acts for one pool. `may_act` is the Lease's `held`."""

    def __init__(self, cluster: Cluster, queue: PoolQueue, may_act: Callable[[], bool]) -> None:
        self._cluster = cluster
        self._queue = queue
        self._may_act = may_act
        self.costs_refused = ""

    async def prepare(self, look: Snapshot, plan: Plan) -> Plan:
        """Cordons and uncordons. Returns the plan, or one that changes no replicas.

        A worker that was idle may have claimed a task before its cordon was there. Cordons are part
        of claiming, so what is pending after the cordon is all that there will ever be.
        """
        if not (plan.act and look.owned):
            return plan
        self._check()
        try:
            await self._queue.cordon(_to_uncordon(look, plan), cordoned=False)
            await self._queue.cordon(plan.cordon, cordoned=True)
            if plan.replicas >= look.target.replicas or not plan.cordon:
                return plan
            in_hand = await self._queue.in_hand(look.spec)
        except QueueUnavailable as error:
            if plan.replicas >= look.target.replicas:
                return plan
            return _put_off(look, plan, f"no worker goes while Redis is away: {error.message}")
        was_idle = {worker.consumer for worker in look.observation.workers if not worker.busy}
        caught = [name for name in plan.cordon if name in was_idle and in_hand.get(name)]
        if not caught:
            return plan
        await self._lift(caught)
        return _put_off(look, plan, f"{', '.join(caught)} has just started a task")

    async def scale(self, look: Snapshot, plan: Plan) -> None:
        """Writes deletion costs where pods will go, then the replicas.

        Raises `LeaseLost`, or `ClusterUnavailable`: 409 where another writer was quicker and wrote
        another number.
        """
        if plan.replicas < look.target.replicas:
            await self._write_costs(look, plan)
        await self._write_replicas(look.target, plan.replicas)

    async def start(self, target: Target, replicas: int) -> None:
        """Ends the pause of a Deployment; `replicas` count only where it has never run."""
        self._check()
        await self._cluster.start(target, replicas)

    async def restore(self, target: Target, replicas: int) -> None:
        """Sets the replicas that were found at first. Raises as `scale` does."""
        await self._write_replicas(target, replicas)

    async def _write_replicas(self, target: Target, replicas: int) -> None:
        for pause_seconds in (*_SCALE_PAUSES_SECONDS, None):
            self._check()
            try:
                await self._cluster.scale(target, replicas)
                return
            except ClusterUnavailable as error:
                if error.reply_status == _TEST_FAILED:
                    await self._other_writer(target, replicas, error)
                    return
                if error.reply_status not in _TRY_AGAIN or pause_seconds is None:
                    raise
            await asyncio.sleep(pause_seconds)

    async def _other_writer(
        self, target: Target, replicas: int, refusal: ClusterUnavailable
    ) -> None:
        """Returns if the Deployment has the replicas that were wanted, whoever wrote them."""
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

    async def _write_costs(self, look: Snapshot, plan: Plan) -> None:
        now = look.pods.costs  # of the Deployment's own pods; the plan may know of others
        changed = [(pod, cost) for pod, cost in plan.deletion_costs if now.get(pod, cost) != cost]
        self._check()
        writes = (
            self._cluster.set_deletion_cost(look.target.namespace, pod, cost)
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
        if changed:  # the first message stays: each names another pod, and says the same
            self.costs_refused = refusal and (self.costs_refused or refusal)

    async def _lift(self, consumers: list[str]) -> None:
        try:
            await self._queue.cordon(tuple(consumers), cordoned=False)
        except QueueUnavailable as error:  # the next plan finds and lifts what is left
            _log.warning("cordon not lifted", error=error.message)

    def _check(self) -> None:
        if not self._may_act():
            raise LeaseLost


def _to_uncordon(look: Snapshot, plan: Plan) -> tuple[str, ...]:
    """Workers of pods that are ending stay cordoned: they must not claim until they notice."""
    ending = {pod.name for pod in look.pods.seen if pod.state is PodState.TERMINATING}
    gone = {worker.consumer for worker in look.observation.workers if worker.pod in ending}
    return tuple(consumer for consumer in plan.uncordon if consumer not in gone)


def _put_off(look: Snapshot, plan: Plan, why: str) -> Plan:
    return replace(plan, replicas=look.target.replicas, message=f"{plan.message}; put off: {why}")
