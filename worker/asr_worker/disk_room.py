"""Bounds what the tasks in hand keep on the disk: each takes its share before it fetches anything.

Bookkeeping only: no file is touched here.
"""

from __future__ import annotations

import asyncio
from collections import deque


class DiskRoom:
    """`size_bytes` for all shares together; first come, first served.

    Who asks for more than there is gets it alone.
    """

    def __init__(self, size_bytes: int) -> None:
        self._size_bytes = size_bytes
        self._queue: deque[tuple[int, asyncio.Future[None]]] = deque()
        self.used_bytes = 0

    async def share(self, wanted_bytes: int) -> DiskShare:
        """Waits until there is room."""
        admitted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.append((wanted_bytes, admitted))
        self._admit()
        try:
            await admitted
        except asyncio.CancelledError:
            if not admitted.cancelled():  # admitted at this very moment
                self.change(-wanted_bytes)
            else:
                self._admit()
            raise
        return DiskShare(self, wanted_bytes)

    def change(self, by_bytes: int) -> None:
        """A share has grown, shrunk, come or gone."""
        self.used_bytes += by_bytes
        self._admit()

    def _admit(self) -> None:
        while self._queue:
            wanted_bytes, admitted = self._queue[0]
            if not admitted.cancelled():
                if self.used_bytes and self.used_bytes + wanted_bytes > self._size_bytes:
                    return
                self.used_bytes += wanted_bytes
                admitted.set_result(None)
            self._queue.popleft()


class DiskShare:
    """What one task holds of a room."""

    def __init__(self, room: DiskRoom, size_bytes: int) -> None:
        self._room = room
        self.size_bytes = size_bytes
        self._is_freed = False

    def resize(self, size_bytes: int) -> None:
        """What it turned out to need; may be more than it asked for. Nothing once it was freed."""
        if self._is_freed:
            return
        by_bytes, self.size_bytes = size_bytes - self.size_bytes, size_bytes
        self._room.change(by_bytes)

    def free(self) -> None:
        """Nothing any more."""
        self.resize(0)
        self._is_freed = True
