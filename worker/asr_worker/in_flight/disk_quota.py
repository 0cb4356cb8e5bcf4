"""Bounds what the tasks in hand keep on the disk: each takes its share before it fetches anything.

Bookkeeping only: no file is touched here.
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
class _Wish:
    wanted_bytes: int
    owner: str
    admitted: asyncio.Future[_Part] = field(repr=False)


class DiskQuota:
    """`size_bytes` for all shares together; first come, first served. `kept_bytes` more are for
    owners that hold nothing here, whatever the others' shares grow to.

    Who asks for more than there is gets it alone.
    """

    def __init__(self, size_bytes: int, *, kept_bytes: int = 0) -> None:
        self.open_part = _Part(size_bytes)
        self._kept_part = _Part(kept_bytes)
        self._queue: list[_Wish] = []
        self._held: Counter[str] = Counter()

    @property
    def used_bytes(self) -> int:
        return self.open_part.used_bytes + self._kept_part.used_bytes

    @property
    def is_full(self) -> bool:
        """Shares have come, or grown, to what it holds."""
        return not self.open_part.fits(1)

    async def share(self, wanted_bytes: int, owner: str = "") -> DiskShare:
        """Waits until there is room."""
        wish = _Wish(wanted_bytes, owner, asyncio.get_running_loop().create_future())
        self._queue.append(wish)
        self._admit()
        try:
            part = await wish.admitted
        except asyncio.CancelledError:
            if not wish.admitted.cancelled():  # admitted at this very moment
                self.give_back(wanted_bytes, owner, wish.admitted.result())
            else:
                self._admit()
            raise
        return DiskShare(self, wanted_bytes, owner, part)

    def change(self, by_bytes: int, part: _Part) -> None:
        """A share has grown or shrunk."""
        part.used_bytes += by_bytes
        self._admit()

    def take(self, size_bytes: int, owner: str, part: _Part) -> None:
        """A share has come, whether there is room or not."""
        self._held[owner] += 1
        part.used_bytes += size_bytes

    def give_back(self, size_bytes: int, owner: str, part: _Part) -> None:
        """A share has gone."""
        self._held[owner] -= 1
        if not self._held[owner]:
            del self._held[owner]
        self.change(-size_bytes, part)

    def _admit(self) -> None:
        """In order; behind one that waits only who holds nothing may pass."""
        is_blocked = False
        for wish in list(self._queue):
            if not wish.admitted.cancelled():
                is_blocked = is_blocked or not self._has_room(wish)
                if is_blocked and not self._may_pass(wish):
                    continue
                part = self._kept_part if is_blocked else self.open_part
                self.take(wish.wanted_bytes, wish.owner, part)
                wish.admitted.set_result(part)
            self._queue.remove(wish)

    def _has_room(self, wish: _Wish) -> bool:
        return not self.open_part.used_bytes or self.open_part.fits(wish.wanted_bytes)

    def _may_pass(self, wish: _Wish) -> bool:
        return not self._held[wish.owner] and self._kept_part.fits(wish.wanted_bytes)


class DiskShare:
    """What one task holds of a room."""

    def __init__(self, room: DiskQuota, size_bytes: int, owner: str, part: _Part) -> None:
        self._room = room
        self._owner = owner
        self._part = part
        self.size_bytes = size_bytes
        self._is_freed = False

    def resize(self, size_bytes: int) -> None:
        """What it turned out to need; may be more than it asked for. Nothing once it was freed."""
        if self._is_freed:
            return
        by_bytes, self.size_bytes = size_bytes - self.size_bytes, size_bytes
        self._room.change(by_bytes, self._part)

    def move(self, room: DiskQuota) -> None:
        """To another room, whether it has place or not: the bytes are there already."""
        if self._is_freed or room is self._room:
            return
        room.take(self.size_bytes, self._owner, room.open_part)
        self._room.give_back(self.size_bytes, self._owner, self._part)
        self._room, self._part = room, room.open_part

    def free(self) -> None:
        """Nothing any more."""
        if self._is_freed:
            return
        self._is_freed = True
        self._room.give_back(self.size_bytes, self._owner, self._part)
        self.size_bytes = 0
