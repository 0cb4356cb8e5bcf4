"""Whether this process may claim now, and how much."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from asr_worker.attempts.scratch_dir import WorkFolder
from asr_worker.attempts.store_access import StoreAccess
from asr_worker.in_flight.capacity import Capacity, remaining_capacity, reserved_capacity
from asr_worker.in_flight.tasks import InFlightTasks
from asr_worker.process.recycling import Recycling


@dataclass(frozen=True)
class Admission:
    """`batch_seconds` is the padded audio of a full batch, `server_problem` why the model server
    cannot be used, if there is one and it cannot.
    """

    in_flight: InFlightTasks
    folder: WorkFolder
    store: StoreAccess
    recycling: Recycling
    server_problem: Callable[[], str]
    batch_seconds: float
    max_tasks: int

    async def may_claim(self) -> bool:
        """False while the process retires, its disk is full, or the store or its model server is
        unavailable.
        """
        able = not self.recycling.retiring and not self.server_problem()
        ready = able and self.folder.has_room()
        return ready and await self.store.usable()

    def capacity(self) -> Capacity:
        """The remaining capacity; once that is used up, what is reserved for interactive tasks."""
        left = [task.left_seconds for task in self.in_flight]
        remaining = remaining_capacity(
            left, batch_seconds=self.batch_seconds, max_tasks=self.max_tasks
        )
        if remaining:
            return remaining
        owners = ((task.claim.task.lane, task.claim.task.tenant) for task in self.in_flight)
        return reserved_capacity(owners, batch_seconds=self.batch_seconds, max_tasks=self.max_tasks)
