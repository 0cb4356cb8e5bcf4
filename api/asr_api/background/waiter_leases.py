"""Clients of this process that wait for a transcript with an open connection.

Each holds a lease in Redis, renewed while the client is connected. A client that received the whole
reply releases it as `answered`; any other is expected to reconnect and join the run.
"""

from __future__ import annotations

import asyncio
import uuid
from contextlib import suppress

from asr_core.errors import DependencyError
from asr_core.queue import Waiter, WaiterRegistry


class WaiterLease:
    """The lease of one client: attached to a task once, released once."""

    def __init__(self, leases: WaiterLeases) -> None:
        self._leases = leases
        self._released = False
        self.caller_id = uuid.uuid4().hex
        self.task_id = ""

    def waiter(self, grace_seconds: float) -> Waiter:
        """The client as `submit` and `join` register it."""
        return Waiter(self.caller_id, grace_seconds)

    def attach(self, task_id: str) -> None:
        """Start renewing, for this task."""
        self.task_id = task_id
        self._leases.held.add(self)

    def release(self, *, answered: bool) -> None:
        """Release in the background: the calling request may itself be cancelled. Idempotent."""
        if self.task_id and not self._released:
            self._released = True
            self._leases.release(self, answered=answered)


class WaiterLeases:
    """All leases of this process. Housekeeping calls `renew` every `renew_seconds`."""

    def __init__(self, registry: WaiterRegistry) -> None:
        self.registry = registry
        self.held: set[WaiterLease] = set()
        self._releasing: set[asyncio.Task[None]] = set()

    @property
    def renew_seconds(self) -> float:
        return self.registry.renew_seconds

    def new(self) -> WaiterLease:
        """A lease that is not attached to a task yet."""
        return WaiterLease(self)

    async def renew(self) -> None:
        """Renew every lease that is held."""
        await self.registry.renew([(lease.task_id, lease.caller_id) for lease in self.held])

    def release(self, lease: WaiterLease, *, answered: bool) -> None:
        self.held.discard(lease)
        task = asyncio.get_running_loop().create_task(self._send_release(lease, answered))
        self._releasing.add(task)
        task.add_done_callback(self._releasing.discard)

    async def stop(self) -> None:
        """Wait for releases in progress; the remaining leases expire."""
        await asyncio.gather(*self._releasing, return_exceptions=True)

    async def _send_release(self, lease: WaiterLease, answered: bool) -> None:
        with suppress(DependencyError):  # then the lease expires
            await self.registry.leave(lease.task_id, lease.caller_id, answered=answered)
