"""Background loops of an API pod: prepare the queue, watch for changes, move due tasks, renew
waiter leases, reconcile, sweep orphaned blobs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import asdict

from asr_api.background.waiter_leases import WaiterLeases
from asr_api.monitoring.metrics import ApiMetrics
from asr_core.backoff import backoff_seconds
from asr_core.errors import AsrError, DependencyError, SchemaMismatch
from asr_core.lifecycle.orphan_sweep import Sweep, SweepRefused
from asr_core.process.logs import business_event, get_logger
from asr_core.queue import EvictionWatch, OrphanIndex, Producer, QueueReconciler, TaskWatcher
from asr_core.queue.eviction import OBSERVE_SECONDS

MOVE_DUE_SECONDS = 1.0
RECONCILE_SECONDS = 60.0
SWEEP_CHECK_SECONDS = 300.0
PREPARE_FIRST_SECONDS = 0.5
PREPARE_MAX_SECONDS = 15.0


class Housekeeping:
    """Started and stopped by the app's lifespan. Redis may be unavailable at any time, including at
    startup.
    """

    def __init__(
        self,
        producer: Producer,
        watcher: TaskWatcher,
        reconciler: QueueReconciler,
        orphan_index: OrphanIndex,
        sweep: Sweep,
        waiter_leases: WaiterLeases,
        eviction: EvictionWatch,
        metrics: ApiMetrics,
    ) -> None:
        self._producer = producer
        self._watcher = watcher
        self._reconciler = reconciler
        self._orphan_index = orphan_index
        self._sweep = sweep
        self._waiter_leases = waiter_leases
        self._eviction = eviction
        self._metrics = metrics
        self._preparing = asyncio.Lock()
        self._loops: list[asyncio.Task[None]] = []
        self._log = get_logger("asr_api.housekeeping")
        self.prepared = False
        self.schema_mismatch = ""

    def start(self) -> None:
        """Start all loops; whatever is unavailable is retried in the background."""
        self._loops = [asyncio.create_task(self._run(), name="housekeeping")]

    async def stop(self) -> None:
        """Cancel all loops and wait for them."""
        for loop in self._loops:
            loop.cancel()
        await asyncio.gather(*self._loops, return_exceptions=True)
        self._loops = []
        with suppress(AsrError):
            await self._watcher.stop()

    async def _run(self) -> None:
        await self._watcher.start()
        await self._prepare()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._repeat("move_due", self._reconciler.move_due, MOVE_DUE_SECONDS))
            group.create_task(
                self._repeat(
                    "renew_waiters", self._waiter_leases.renew, self._waiter_leases.renew_seconds
                )
            )
            group.create_task(
                self._repeat("cancel_abandoned", self._cancel_abandoned, MOVE_DUE_SECONDS)
            )
            group.create_task(self._repeat("reconcile", self._reconcile, RECONCILE_SECONDS))
            group.create_task(self._repeat("eviction", self._eviction.observe, OBSERVE_SECONDS))
            group.create_task(self._repeat("sweep", self._sweep_if_due, SWEEP_CHECK_SECONDS))

    async def ensure_prepared(self) -> None:
        """Once: check the schema, create the consumer groups, write the epoch marker to Redis and
        store.

        Submissions call it too: the first one may arrive before the loop's next attempt, and must
        not precede the marker, as a store with audio and no marker is never swept. Raises
        DependencyError.
        """
        async with self._preparing:
            if self.prepared:
                return
            await self._producer.prepare()
            try:
                await self._sweep.mark()
            except SweepRefused as error:
                self._log.warning("store_not_marked", reason=error.message)
            self.prepared, self.schema_mismatch = True, ""

    async def _prepare(self) -> None:
        """Retry with exponential backoff until it succeeds."""
        failures = 0
        while not self.prepared:
            pause_seconds = backoff_seconds(
                failures, first=PREPARE_FIRST_SECONDS, most=PREPARE_MAX_SECONDS
            )
            try:
                await self.ensure_prepared()
            except SchemaMismatch as error:
                self.schema_mismatch = error.message
                self._log.error("queue_schema_mismatch", reason=error.message)
            except DependencyError as error:
                self._log.warning(
                    "queue_not_ready", reason=error.message, retry_seconds=pause_seconds
                )
            except Exception:
                self._log.exception("queue_prepare_failed", retry_seconds=pause_seconds)
            if not self.prepared:
                await asyncio.sleep(pause_seconds)
                failures += 1
        self._log.info("queue_ready")

    async def _cancel_abandoned(self) -> None:
        for task_id in await self._waiter_leases.registry.cancel_abandoned():
            business_event("task_abandoned", task_id=task_id)

    async def _reconcile(self) -> None:
        """Repair the queue and report lost data; one pod per minute gets the lock."""
        try:
            reconciled = await self._reconciler.reconcile()
        except SchemaMismatch as error:
            self.schema_mismatch = error.message
            raise
        self.schema_mismatch = ""
        if reconciled is None:
            return
        if reconciled.repaired:
            self._log.warning("queue_mended", **asdict(reconciled))
            for what, count in reconciled.repaired.items():
                self._metrics.queue_mended.labels(what=what).inc(count)
        try:
            await self._sweep.mark()
        except SweepRefused as refused:
            await self._report_loss(refused)

    async def _report_loss(self, refused: SweepRefused) -> None:
        """Log and count a loss once, on the pod that notices it first."""
        orphans = await self._sweep.record_loss(refused.loss)
        if orphans is None:
            return
        self._metrics.queue_losses.labels(reason=refused.loss.value).inc()
        self._log.error(
            "queue_data_lost",
            reason=refused.message,
            recordings_without_task=orphans.recordings,
            results_without_task=orphans.results,
        )

    async def _sweep_if_due(self) -> None:
        """About once an hour, on the pod that gets the lock."""
        if not await self._orphan_index.try_lock():
            return
        try:
            swept = await self._sweep.run(automatic=True)
        except SweepRefused as refused:
            self._log.error("sweep_refused", reason=refused.message)
            await self._report_loss(refused)
        else:
            self._log.info("store_swept", **asdict(swept))

    async def _repeat(
        self, name: str, step: Callable[[], Awaitable[object]], every_seconds: float
    ) -> None:
        """Run `step` for ever; a failure is reported once, and so is its end."""
        failing = False
        while True:
            try:
                await step()
                if failing:
                    self._log.info("housekeeping_recovered", step=name)
                failing = False
            except Exception as error:
                if not failing:
                    known = isinstance(error, DependencyError)
                    self._log.warning(
                        "housekeeping_failed", step=name, reason=str(error), exc_info=not known
                    )
                failing = True
            await asyncio.sleep(every_seconds)
