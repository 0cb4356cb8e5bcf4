"""Start-time fair queueing over the segments of all tasks in flight. Pure.

Goyal, Vin, Cheng 1996 (doi:10.1145/248156.248171): a segment's tag is the virtual time at which
its task became ready plus what the task has used by then, divided by the weight of its lane. A
short file behind ten hours of another is thus next but one, and every lane moves on.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Generic, TypeVar

from asr_core.task import Lane

Key = TypeVar("Key", bound=Hashable)
WEIGHTS = {Lane.INTERACTIVE: 64.0, Lane.NORMAL: 8.0, Lane.BATCH: 1.0}


class FairOrder:
    """Gives tags to segments; the smallest tag is served first."""

    def __init__(self) -> None:
        self._virtual_seconds = 0.0

    def tags(self, lane: Lane, seconds: Sequence[float]) -> list[float]:
        """One tag for each segment of a task that becomes ready now, in their order."""
        tags = []
        tag = self._virtual_seconds
        for length in seconds:
            tags.append(tag)
            tag += length / WEIGHTS[lane]
        return tags

    def served(self, tag: float) -> None:
        """A segment with this tag has gone to the engine."""
        self._virtual_seconds = max(self._virtual_seconds, tag)


class UseClock(Generic[Key]):
    """The same for work whose cost is only known while it runs: tags by what was used so far.

    A key that returns after a pause starts at the virtual time: unused shares do not accumulate.
    """

    def __init__(self) -> None:
        self._used: dict[Key, float] = {}
        self._virtual = 0.0

    def tag(self, key: Key) -> float:
        """The smallest is next."""
        return max(self._virtual, self._used.get(key, 0.0))

    def use(self, key: Key, amount: float) -> None:
        """Charges `amount` to a key."""
        self._used[key] = self.tag(key) + amount

    def serve(self, key: Key) -> None:
        """Advances the virtual time to the key's tag; keys with no higher tag are forgotten."""
        self._virtual = self.tag(key)
        self._used = {each: used for each, used in self._used.items() if used > self._virtual}
