"""Bounds the disk space of tasks in flight: each gets its share before it downloads anything.

Bookkeeping only; touches no files.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field


@dataclass(eq=False)
class _Part:
    size_bytes: int
    used_bytes: int = 0

    def fits(self, wanted_bytes: int) -> bool:
        return self.used_bytes + wanted_bytes <= self.size_bytes


@dataclass(eq=False)
class _QuotaRequest:
    wanted_bytes: int
    owner: str
    admitted: asyncio.Future[_Part] = field(repr=False)


class DiskQuota:
    """`size_bytes` for all shares together, granted in order. `reserved_bytes` more are for owners
    that hold no share, however large the shares of others grow.

    A request for more than the whole quota is granted once no other share is held.
    """

    def __init__(self, size_bytes: int, *, reserved_bytes: int = 0) -> None:
        self.open_part = _Part(size_bytes)
        self._reserved_part = _Part(reserved_bytes)
        self._queue: list[_QuotaRequest] = []
        self._shares_by_owner: Counter[str] = Counter()

    @property
    def used_bytes(self) -> int:
        return self.open_part.used_bytes + self._reserved_part.used_bytes

    @property
    def is_full(self) -> bool:
        """Whether shares take up the whole quota."""
        return not self.open_part.fits(1)

    async def share(self, wanted_bytes: int, owner: str = "") -> DiskShare:
        """Waits until the quota has room."""
        request = _QuotaRequest(wanted_bytes, owner, asyncio.get_running_loop().create_future())
        self._queue.append(request)
        self._admit()
        try:
            part = await request.admitted
        except asyncio.CancelledError:
            if not request.admitted.cancelled():  # admitted at this very moment
                self.release(wanted_bytes, owner, request.admitted.result())
            else:
                self._admit()
            raise
        return DiskShare(self, wanted_bytes, owner, part)

    def change(self, by_bytes: int, part: _Part) -> None:
        """A share has grown or shrunk."""
        part.used_bytes += by_bytes
        self._admit()

    def take(self, size_bytes: int, owner: str, part: _Part) -> None:
        """Adds a share, whether there is room or not."""
        self._shares_by_owner[owner] += 1
        part.used_bytes += size_bytes

    def release(self, size_bytes: int, owner: str, part: _Part) -> None:
        """Removes a share."""
        self._shares_by_owner[owner] -= 1
        if not self._shares_by_owner[owner]:
            del self._shares_by_owner[owner]
        self.change(-size_bytes, part)

    def _admit(self) -> None:
        """Grants requests in order; only owners without a share may pass one that waits."""
        is_blocked = False
        for request in list(self._queue):
            if not request.admitted.cancelled():
                is_blocked = is_blocked or not self._has_room(request)
                if is_blocked and not self._may_pass(request):
                    continue
                part = self._reserved_part if is_blocked else self.open_part
                self.take(request.wanted_bytes, request.owner, part)
                request.admitted.set_result(part)
            self._queue.remove(request)

    def _has_room(self, request: _QuotaRequest) -> bool:
        return not self.open_part.used_bytes or self.open_part.fits(request.wanted_bytes)

    def _may_pass(self, request: _QuotaRequest) -> bool:
        return not self._shares_by_owner[request.owner] and self._reserved_part.fits(
            request.wanted_bytes
        )


class DiskShare:
    """The part of a quota that one task holds."""

    def __init__(self, quota: DiskQuota, size_bytes: int, owner: str, part: _Part) -> None:
        self._quota = quota
        self._owner = owner
        self._part = part
        self.size_bytes = size_bytes
        self._is_freed = False

    def resize(self, size_bytes: int) -> None:
        """Sets the size actually needed, which may exceed the request. No-op once freed."""
        if self._is_freed:
            return
        by_bytes, self.size_bytes = size_bytes - self.size_bytes, size_bytes
        self._quota.change(by_bytes, self._part)

    def move(self, quota: DiskQuota) -> None:
        """Moves to another quota, whether it has room or not: the bytes are on disk already."""
        if self._is_freed or quota is self._quota:
            return
        quota.take(self.size_bytes, self._owner, quota.open_part)
        self._quota.release(self.size_bytes, self._owner, self._part)
        self._quota, self._part = quota, quota.open_part

    def free(self) -> None:
        """Gives up the share; idempotent."""
        if self._is_freed:
            return
        self._is_freed = True
        self._quota.release(self.size_bytes, self._owner, self._part)
        self.size_bytes = 0
