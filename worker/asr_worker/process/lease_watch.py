"""Stops work on tasks whose lease may have expired: Redis did not answer, or the task is stuck.

By then another worker may have claimed them. Leases that are still ours are recovered.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

from asr_core.process.logs import get_logger
from asr_core.queue import LeaseKeeper, Outcome
from asr_worker.attempts.claiming import Claiming
from asr_worker.attempts.lost_tasks import LostTasks
from asr_worker.in_flight.stages import Stages
from asr_worker.in_flight.tasks import InFlightTasks
from asr_worker.process.watchdog import Watchdog

_log = get_logger(__name__)


@dataclass(frozen=True)
class LeaseWatch:
    """Checks every second, or ten times per lease if that is shorter."""

    keeper: LeaseKeeper
    in_flight: InFlightTasks
    stages: Stages
    lost_tasks: LostTasks
    claiming: Claiming
    watchdog: Watchdog
    lease_seconds: float
    progress_deadline_seconds: float

    async def run(self) -> None:
        while True:
            self.watchdog.tick()
            self._check()
            await asyncio.sleep(min(1.0, self.lease_seconds / 10))

    def _check(self) -> None:
        now = time.monotonic()
        tasks = [task for task in self.in_flight if task.lost is None]
        renewed_at = self.keeper.alive_at()
        expired = [t for t in tasks if now - max(renewed_at, t.claimed_at) > self.lease_seconds]
        worker_moved_at = self.stages.worker_moved_at
        deadline = self.progress_deadline_seconds
        stuck = [t for t in tasks if now - max(t.moved_at, worker_moved_at) > deadline]
        if expired:
            _log.error("leases not renewed for a whole lease", tasks=len(expired))
            self.lost_tasks.abandon(expired, Outcome.FENCED)
            self.claiming.rejoin()
        if stuck:
            _log.error("tasks make no progress", task_ids=[task.task_id for task in stuck])
            self.lost_tasks.abandon(stuck, Outcome.FENCED)
