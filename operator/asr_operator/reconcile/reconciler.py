"""One WorkerPool: look, plan, act, status_patch, every few seconds, as long as it exists.

Nothing is kept here that a restart cannot do without: what must survive stands in the status.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from asr_core.errors import AsrError, ClusterUnavailable, InvalidOption
from asr_core.process.logs import get_logger
from asr_operator.cluster.event import Event
from asr_operator.cluster.leader_election import Lease
from asr_operator.cluster.objects import Cluster
from asr_operator.cluster.rest_client import Json
from asr_operator.planning.observation import History, Signal
from asr_operator.planning.plan import Condition, Plan, plan
from asr_operator.reconcile import status_patch
from asr_operator.reconcile.executor import Executor, LeaseLost
from asr_operator.reconcile.metrics import OperatorMetrics
from asr_operator.reconcile.observer import Claimant, Observer, Snapshot
from asr_operator.reconcile.queue_client import PoolQueue
from asr_operator.reconcile.status import first_history, parse_spec, pool_status

FIRST_POLL_SECONDS = 2.0
_WAITING_SECONDS = 0.5  # for the Lease; asks nobody
_log = get_logger(__name__)


class PoolGone(Exception):
    """The WorkerPool does not exist any more."""


@dataclass
class _Memory:
    """What helps to say less; lost at a restart, and whenever another operator may have acted."""

    history: History | None = None
    numbers_told_at: float = float("-inf")
    refusal_told: str = ""
    scale_refused: str = ""
    error_told: str = ""
    failed_ticks: int = 0


@dataclass
class PoolReconciler:
    """`run` it as a task; `tick` is one round. `clock` is Unix time."""

    namespace: str
    name: str
    cluster: Cluster
    queue: PoolQueue
    lease: Lease
    claimants: Callable[[str], Sequence[Claimant]]
    metrics: OperatorMetrics
    clock: Callable[[], float] = time.time
    ticked_at: float = field(default_factory=time.monotonic)
    poll_seconds: float = FIRST_POLL_SECONDS

    def __post_init__(self) -> None:
        self._looker = Observer(self.cluster, self.queue, self.claimants, clock=self.clock)
        self._actor = Executor(self.cluster, self.queue, lambda: self.lease.held)
        self._memory = _Memory()
        self._wake = asyncio.Event()
        self._labels = (self.namespace, self.name)

    def wake(self) -> None:
        """The next tick comes now: the spec has changed."""
        self._wake.set()

    async def run(self) -> None:
        """Ticks until the pool is gone, or until cancelled."""
        while True:
            started_at = time.monotonic()
            try:
                await self._timed_tick()
            except PoolGone:
                return
            except Exception as error:
                self._tell_error(error)
            self.ticked_at = time.monotonic()
            interval = self.poll_seconds if self.lease.held else _WAITING_SECONDS
            # A tick that takes longer than the interval must leave some time to others.
            await self._pause(max(interval - (self.ticked_at - started_at), 0.1))

    async def finalize(self, pool: Json) -> None:
        """The pool was deleted: lifts every cordon, and restores the replicas if it says so.

        There is no finalizer that could wait for this: one would hold a namespace's deletion up
        where the operator is gone. Of an operator that is away nothing is restored.
        """
        spec = parse_spec(pool)
        name, uid = spec.scale_target_ref.name, pool["metadata"]["uid"]
        if not self.lease.held or any(each.uid != uid for each in self.claimants(name)):
            return
        workers = (await self.queue.look(spec)).workers
        cordoned = tuple(each.consumer for each in workers if each.cordoned)
        await self.queue.cordon(cordoned, cordoned=False)
        replicas = (pool.get("status") or {}).get("replicasAtFirst")
        if spec.on_delete != "restore" or replicas is None:
            return
        target = await self.cluster.target(self.namespace, name)
        if target is not None and target.replicas != replicas:
            await self._actor.restore(target, replicas)
            _log.info("replicas restored", pool=self.name, replicas=replicas)

    async def close(self) -> None:
        """Ends the connection to Redis, and takes the pool's metrics away."""
        await self.queue.close()
        self.metrics.forget(*self._labels)

    async def tick(self) -> None:
        """One round. Raises `ClusterUnavailable`, `LeaseLost` or `PoolGone`."""
        if not self.lease.held:
            self._memory = _Memory()
            return
        pool = await self.cluster.pool(self.namespace, self.name)
        if pool is None:
            raise PoolGone
        try:
            spec = parse_spec(pool)
        except InvalidOption as error:
            await self._say_not_ready(pool, "InvalidSpec", error.message)
            return
        self.poll_seconds = spec.poll_interval_seconds
        target = await self.cluster.target(self.namespace, spec.scale_target_ref.name)
        if target is None:
            name = spec.scale_target_ref.name
            await self._say_not_ready(pool, "TargetNotFound", f"Deployment {name!r} was not found")
            return
        look = await self._looker.look(pool, spec, target)
        if target.waits_for_start and look.owned and not spec.scaling.dry_run:
            await self._start(look)
        else:
            await self._decide(look)
        self._memory.failed_ticks = 0
        if self._memory.error_told:
            _log.info("working again", pool=self.name, namespace=self.namespace)
            self._memory.error_told = ""

    async def _start(self, look: Snapshot) -> None:
        """Starts a Deployment that was applied paused; the next tick decides about its replicas."""
        pool, target = look.pool, look.target
        replicas = look.spec.scaling.replicas_at_start
        if not target.has_run:
            last = {"from": target.replicas, "to": replicas, "done": False}
            at_first = {"replicasAtFirst": replicas, **(pool.get("status") or {})}
            changed = {"lastScale": last, "replicasAtFirst": at_first["replicasAtFirst"]}
            await self.cluster.report(self.namespace, self.name, changed)
        try:
            await self._actor.start(target, replicas)
        except ClusterUnavailable as error:
            if error.reply_status != 403:
                raise
            message = (
                f"the Deployment is paused, and this operator may not start it: {error.message}"
            )
            await self._say_not_ready(pool, "StartRefused", message)
            return
        _log.info("started", pool=self.name, namespace=self.namespace, is_first=not target.has_run)
        self.wake()

    async def _decide(self, look: Snapshot) -> None:
        history = self._memory.history or first_history(look.pool.get("status") or {})
        decided = plan(look.spec, look.observation, history)
        self._memory.history = decided.history
        self._count(look, decided)
        decided = await self._actor.prepare(look, decided)
        will_scale = decided.act and look.owned and decided.replicas != look.target.replicas
        await self._report(look, decided, will_scale=will_scale)
        if will_scale:
            await self._scale(look, decided)

    async def _scale(self, look: Snapshot, decided: Plan) -> None:
        was, will_be = look.target.replicas, decided.replicas
        try:
            await self._actor.scale(look, decided)
        except ClusterUnavailable as error:
            await self._tell_refusal(look.pool, error)
            raise
        self._memory.scale_refused = ""
        direction = "up" if will_be > was else "down"
        self.metrics.scales.labels(*self._labels, direction).inc()
        _log.info(
            "scaled", pool=self.name, namespace=self.namespace, replicas_before=was,
            replicas=will_be, reason=decided.reason, message=decided.message,
        )  # fmt: skip
        note = f"{was} to {will_be}: {decided.message}"
        await self._post(look.pool, Event(str(decided.reason), note, "Scale"))
        if self._actor.costs_refused != self._memory.refusal_told:
            self._memory.refusal_told = self._actor.costs_refused
            note = f"Kubernetes may delete busy pods before idle ones: {self._actor.costs_refused}"
            await self._post(look.pool, Event("DeletionCostRefused", note, "Scale", warning=True))

    async def _tell_refusal(self, pool: Json, error: ClusterUnavailable) -> None:
        """Once, and not the first time: at an uninstall the rights go before the program does."""
        if not error.is_refusal or not self._memory.failed_ticks:
            return
        if self._memory.scale_refused != error.message:
            self._memory.scale_refused = error.message
            note = f"this operator may not scale the Deployment: {error.message}"
            await self._post(pool, Event("ScaleRefused", note, "Scale", warning=True))

    async def _report(self, look: Snapshot, decided: Plan, *, will_scale: bool) -> None:
        """Before the replicas are written, so that a crash in between is no other writer's deed."""
        old = look.pool.get("status") or {}
        new = pool_status(look, decided, will_scale=will_scale)
        changed = status_patch.changes(old, new)
        now = look.observation.now
        is_due = now - self._memory.numbers_told_at >= status_patch.NUMBERS_SECONDS
        if changed and (is_due or status_patch.is_pressing(old, changed)):
            await self.cluster.report(self.namespace, self.name, changed)
            self._memory.numbers_told_at = now
            for event in status_patch.events(old, new["conditions"]):
                await self._post(look.pool, event)

    async def _say_not_ready(self, pool: Json, reason: str, message: str) -> None:
        old = pool.get("status") or {}
        self._memory.history = None
        generation = int(pool["metadata"].get("generation") or 0)
        told = (
            Condition("Ready", False, reason, message),
            Condition("ScalingActive", False, reason, message),
        )
        listed = status_patch.conditions(old, told, generation=generation, now=self.clock())
        changed = status_patch.changes(
            old, {"conditions": listed, "observedGeneration": generation}
        )
        if changed:
            await self.cluster.report(self.namespace, self.name, changed)
            for event in status_patch.events(old, listed):
                await self._post(pool, event)

    async def _post(self, pool: Json, event: Event) -> None:
        """An event that cannot be posted is a pity, not a reason to stop."""
        try:
            await self.cluster.post(pool, event)
        except ClusterUnavailable as error:
            _log.warning("event not posted", reason=event.reason, error=error.message)

    async def _timed_tick(self) -> None:
        started_at = time.perf_counter()
        try:
            await self.tick()
        finally:
            if self.lease.held:
                histogram = self.metrics.tick_duration_seconds.labels(*self._labels)
                histogram.observe(time.perf_counter() - started_at)

    async def _pause(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        self._wake.clear()

    def _count(self, look: Snapshot, decided: Plan) -> None:
        metrics, labels, seen = self.metrics, self._labels, look.observation
        metrics.replicas.labels(*labels).set(seen.replicas)
        metrics.ready_replicas.labels(*labels).set(seen.ready)
        metrics.desired_replicas.labels(*labels).set(decided.desired)
        metrics.max_replicas.labels(*labels).set(look.spec.scaling.max_replicas)
        metrics.decisions.labels(*labels, str(decided.reason)).inc()
        queue = seen.queue
        is_up = queue.signal is not Signal.UNREACHABLE
        metrics.signal_up.labels(*labels).set(is_up)
        if not is_up:
            metrics.signal_errors.labels(*labels).inc()
            metrics.forget_queue(*labels)  # unknown is absent, never zero
            return
        metrics.waiting.labels(*labels).set(queue.waiting)
        metrics.in_flight.labels(*labels).set(queue.in_flight)
        metrics.oldest_wait_seconds.labels(*labels).set(queue.oldest_wait_seconds)
        metrics.backlog_audio_seconds.labels(*labels).set(queue.audio_seconds)

    def _tell_error(self, error: Exception) -> None:
        """Every error is counted, each kind is logged once until a tick succeeds.

        A single refusal is not: at an uninstall the rights go a moment before the program does.
        """
        self.metrics.tick_errors.labels(*self._labels).inc()
        self._memory.failed_ticks += 1
        is_refusal = isinstance(error, ClusterUnavailable) and error.is_refusal
        if is_refusal and self._memory.failed_ticks == 1:
            return
        message = error.message if isinstance(error, AsrError) else repr(error)
        if message != self._memory.error_told:
            self._memory.error_told = message
            is_known = isinstance(error, AsrError | LeaseLost)
            _log.warning(
                "tick failed", pool=self.name, namespace=self.namespace, error=message,
                exc_info=None if is_known else error,
            )  # fmt: skip
