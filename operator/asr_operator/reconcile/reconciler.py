"""The control loop of one WorkerPool: observe, plan, execute, report, every few seconds.

State in memory may be lost at any time; what must survive a restart is in the status.
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
from asr_operator.errors import PoolGone
from asr_operator.planning.observation import History, Signal
from asr_operator.planning.plan import Condition, Plan, plan
from asr_operator.reconcile import status_patch
from asr_operator.reconcile.executor import Executor
from asr_operator.reconcile.metrics import OperatorMetrics
from asr_operator.reconcile.observer import Claimant, Observer, Snapshot
from asr_operator.reconcile.queue_client import PoolQueue
from asr_operator.reconcile.status import first_history, parse_spec, pool_status

FIRST_POLL_SECONDS = 2.0
_STANDBY_SECONDS = 0.5  # between checks of the Lease, without requests
_log = get_logger(__name__)


@dataclass
class _Memory:
    """The plan's history, and state that suppresses repeated logs and events.

    Lost at a restart, and reset while another operator is the leader.
    """

    history: History | None = None
    numbers_reported_at: float = float("-inf")
    cost_refusal_reported: str = ""
    scale_refusal_reported: str = ""
    error_logged: str = ""
    failed_ticks: int = 0


@dataclass
class PoolReconciler:
    """`run` is the task, `tick` one iteration. `clock` is Unix time in seconds."""

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
        self._observer = Observer(self.cluster, self.queue, self.claimants, clock=self.clock)
        self._executor = Executor(self.cluster, self.queue, lambda: self.lease.held)
        self._memory = _Memory()
        self._wake = asyncio.Event()
        self._labels = (self.namespace, self.name)

    def wake(self) -> None:
        """Starts the next tick at once: the spec has changed."""
        self._wake.set()

    async def run(self) -> None:
        """Ticks until the pool is deleted, or until cancelled."""
        while True:
            started_at = time.monotonic()
            try:
                await self._timed_tick()
            except PoolGone:
                return
            except Exception as error:
                self._record_error(error)
            self.ticked_at = time.monotonic()
            interval = self.poll_seconds if self.lease.held else _STANDBY_SECONDS
            # Leave time for other pools, even if a tick takes longer than the interval.
            await self._pause(max(interval - (self.ticked_at - started_at), 0.1))

    async def finalize(self, pool: Json) -> None:
        """The pool was deleted: removes all cordons, and restores the replicas if the spec says so.

        Best effort, without a finalizer: that would block the deletion of a namespace once the
        operator is uninstalled. While no operator runs, nothing is restored.
        """
        spec = parse_spec(pool)
        name, uid = spec.scale_target_ref.name, pool["metadata"]["uid"]
        if not self.lease.held or any(each.uid != uid for each in self.claimants(name)):
            return
        workers = (await self.queue.observe(spec)).workers
        cordoned = tuple(each.consumer for each in workers if each.cordoned)
        await self.queue.cordon(cordoned, cordoned=False)
        replicas = (pool.get("status") or {}).get("replicasAtFirst")
        if spec.on_delete != "restore" or replicas is None:
            return
        target = await self.cluster.target(self.namespace, name)
        if target is not None and target.replicas != replicas:
            await self._executor.restore(target, replicas)
            _log.info("replicas restored", pool=self.name, replicas=replicas)

    async def close(self) -> None:
        """Closes the connection to Redis and removes the pool's metrics."""
        await self.queue.close()
        self.metrics.forget(*self._labels)

    async def tick(self) -> None:
        """One iteration. Raises `ClusterUnavailable`, `LeaseLost` or `PoolGone`."""
        if not self.lease.held:
            self._memory = _Memory()
            return
        pool = await self.cluster.pool(self.namespace, self.name)
        if pool is None:
            raise PoolGone(f"WorkerPool {self.name!r} does not exist any more")
        try:
            spec = parse_spec(pool)
        except InvalidOption as error:
            await self._report_not_ready(pool, "InvalidSpec", error.message)
            return
        self.poll_seconds = spec.poll_interval_seconds
        target = await self.cluster.target(self.namespace, spec.scale_target_ref.name)
        if target is None:
            message = f"Deployment {spec.scale_target_ref.name!r} was not found"
            await self._report_not_ready(pool, "TargetNotFound", message)
            return
        snapshot = await self._observer.observe(pool, spec, target)
        if target.waits_for_start and snapshot.owned and not spec.scaling.dry_run:
            await self._start(snapshot)
        else:
            await self._decide(snapshot)
        self._memory.failed_ticks = 0
        if self._memory.error_logged:
            _log.info("working again", pool=self.name, namespace=self.namespace)
            self._memory.error_logged = ""

    async def _start(self, snapshot: Snapshot) -> None:
        """Starts a Deployment that was applied paused; the next tick plans its replicas."""
        pool, target = snapshot.pool, snapshot.target
        replicas = snapshot.spec.scaling.replicas_at_start
        if not target.has_run:
            last = {"from": target.replicas, "to": replicas, "done": False}
            at_first = {"replicasAtFirst": replicas, **(pool.get("status") or {})}
            changed = {"lastScale": last, "replicasAtFirst": at_first["replicasAtFirst"]}
            await self.cluster.report(self.namespace, self.name, changed)
        try:
            await self._executor.start(target, replicas)
        except ClusterUnavailable as error:
            if error.reply_status != 403:
                raise
            reason = "the Deployment is paused, and this operator may not start it"
            await self._report_not_ready(pool, "StartRefused", f"{reason}: {error.message}")
            return
        _log.info("started", pool=self.name, namespace=self.namespace, is_first=not target.has_run)
        self.wake()

    async def _decide(self, snapshot: Snapshot) -> None:
        history = self._memory.history or first_history(snapshot.pool.get("status") or {})
        decision = plan(snapshot.spec, snapshot.observation, history)
        self._memory.history = decision.history
        self._update_metrics(snapshot, decision)
        decision = await self._executor.prepare(snapshot, decision)
        is_change = decision.replicas != snapshot.target.replicas
        will_scale = decision.execute and snapshot.owned and is_change
        await self._report(snapshot, decision, will_scale=will_scale)
        if will_scale:
            await self._scale(snapshot, decision)

    async def _scale(self, snapshot: Snapshot, decision: Plan) -> None:
        was, will_be = snapshot.target.replicas, decision.replicas
        try:
            await self._executor.scale(snapshot, decision)
        except ClusterUnavailable as error:
            await self._report_scale_refusal(snapshot.pool, error)
            raise
        self._memory.scale_refusal_reported = ""
        direction = "up" if will_be > was else "down"
        self.metrics.scales.labels(*self._labels, direction).inc()
        _log.info(
            "scaled", pool=self.name, namespace=self.namespace, replicas_before=was,
            replicas=will_be, reason=decision.reason, message=decision.message,
        )  # fmt: skip
        note = f"{was} to {will_be}: {decision.message}"
        await self._post(snapshot.pool, Event(str(decision.reason), note, "Scale"))
        if self._executor.costs_refused != self._memory.cost_refusal_reported:
            self._memory.cost_refusal_reported = self._executor.costs_refused
            await self._post(snapshot.pool, _cost_event(self._executor.costs_refused))

    async def _report_scale_refusal(self, pool: Json, error: ClusterUnavailable) -> None:
        """Once per message, and only if it repeats: an uninstall removes the RBAC rights first."""
        if not error.is_refusal or not self._memory.failed_ticks:
            return
        if self._memory.scale_refusal_reported != error.message:
            self._memory.scale_refusal_reported = error.message
            note = f"this operator may not scale the Deployment: {error.message}"
            await self._post(pool, Event("ScaleRefused", note, "Scale", warning=True))

    async def _report(self, snapshot: Snapshot, decision: Plan, *, will_scale: bool) -> None:
        """Runs before the replicas are written: after a crash they still count as our own."""
        old = snapshot.pool.get("status") or {}
        new = pool_status(snapshot, decision, will_scale=will_scale)
        changed = status_patch.changes(old, new)
        now = snapshot.observation.now
        is_due = now - self._memory.numbers_reported_at >= status_patch.NUMBERS_SECONDS
        if changed and (is_due or status_patch.is_pressing(old, changed)):
            await self.cluster.report(self.namespace, self.name, changed)
            self._memory.numbers_reported_at = now
            for event in status_patch.events(old, new["conditions"]):
                await self._post(snapshot.pool, event)

    async def _report_not_ready(self, pool: Json, reason: str, message: str) -> None:
        old = pool.get("status") or {}
        self._memory.history = None
        generation = int(pool["metadata"].get("generation") or 0)
        unhealthy = [Condition(name, False, reason, message) for name in ("Ready", "ScalingActive")]
        listed = status_patch.conditions(old, unhealthy, generation=generation, now=self.clock())
        changed = status_patch.changes(
            old, {"conditions": listed, "observedGeneration": generation}
        )
        if changed:
            await self.cluster.report(self.namespace, self.name, changed)
            for event in status_patch.events(old, listed):
                await self._post(pool, event)

    async def _post(self, pool: Json, event: Event) -> None:
        """Best effort: a failed event does not stop the loop."""
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

    def _update_metrics(self, snapshot: Snapshot, decision: Plan) -> None:
        metrics, labels, observation = self.metrics, self._labels, snapshot.observation
        metrics.replicas.labels(*labels).set(observation.replicas)
        metrics.ready_replicas.labels(*labels).set(observation.ready)
        metrics.desired_replicas.labels(*labels).set(decision.desired)
        metrics.max_replicas.labels(*labels).set(snapshot.spec.scaling.max_replicas)
        metrics.decisions.labels(*labels, str(decision.reason)).inc()
        queue = observation.queue
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

    def _record_error(self, error: Exception) -> None:
        """Counts every error; logs each message once until a tick succeeds.

        A single refusal is not logged: an uninstall removes the RBAC rights before the program.
        """
        self.metrics.tick_errors.labels(*self._labels).inc()
        self._memory.failed_ticks += 1
        is_refusal = isinstance(error, ClusterUnavailable) and error.is_refusal
        if is_refusal and self._memory.failed_ticks == 1:
            return
        message = error.message if isinstance(error, AsrError) else repr(error)
        if message != self._memory.error_logged:
            self._memory.error_logged = message
            is_known = isinstance(error, AsrError)
            _log.warning(
                "tick failed", pool=self.name, namespace=self.namespace, error=message,
                exc_info=None if is_known else error,
            )  # fmt: skip


def _cost_event(refusal: str) -> Event:
    note = f"Kubernetes may delete busy pods before idle ones: {refusal}"
    return Event("DeletionCostRefused", note, "Scale", warning=True)
