"""A fair semaphore: a freed slot goes to the waiting tenant with the fewest, round robin."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class FairSlots:
    """`size` slots in one event loop, at most `most_each` per tenant (None: all). One tenant's
    backlog does not delay another tenant's first request.
    """

    def __init__(self, size: int, *, most_each: int | None = None) -> None:
        self._free = size
        self._most_each = most_each or size
        self._in_use: Counter[str] = Counter()
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}

    @asynccontextmanager
    async def hold(self, tenant: str, *, wait_seconds: float) -> AsyncIterator[None]:
        """Hold a slot for the block. Raises TimeoutError after `wait_seconds`."""
        await self._take(tenant, wait_seconds)
        try:
            yield
        finally:
            self._release(tenant)

    async def _take(self, tenant: str, wait_seconds: float) -> None:
        if self._free and self._in_use[tenant] < self._most_each:
            self._grant(tenant)
            return
        mine: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(tenant, deque()).append(mine)
        try:
            async with asyncio.timeout(wait_seconds):
                await mine
        except BaseException:
            if mine.done() and not mine.cancelled():  # granted just as it timed out
                self._release(tenant)
            else:
                self._leave(tenant, mine)
            raise

    def _grant(self, tenant: str) -> None:
        self._free -= 1
        self._in_use[tenant] += 1

    def _release(self, tenant: str) -> None:
        self._free += 1
        self._in_use[tenant] -= 1
        self._in_use = +self._in_use
        if tenant in self._waiting:  # just served: last among equals
            self._waiting[tenant] = self._waiting.pop(tenant)
        able = (each for each in self._waiting if self._in_use[each] < self._most_each)
        if (chosen := min(able, key=self._in_use.__getitem__, default=None)) is not None:
            mine = self._waiting[chosen][0]
            self._leave(chosen, mine)
            self._grant(chosen)
            mine.set_result(None)

    def _leave(self, tenant: str, mine: asyncio.Future[None]) -> None:
        self._waiting[tenant].remove(mine)
        if not self._waiting[tenant]:
            del self._waiting[tenant]
