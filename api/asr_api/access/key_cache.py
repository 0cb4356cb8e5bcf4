"""What this pod knows of keys: looked up in Redis, and remembered for ten seconds.

While Redis is away, a key that was good goes on for five minutes. Nothing else is let through then,
and nothing is called wrong.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from asr_core.access import ApiKey
from asr_core.errors import DependencyError

FRESH_SECONDS = 10.0
STALE_SECONDS = 300.0
MOST_KNOWN = 10_000
MOST_UNKNOWN = 1_000


@dataclass(frozen=True, slots=True)
class _Answer:
    key: ApiKey | None
    at: float


class KeyCache:
    """Keys by digest. Guesses have a small room of their own, so that they push out no good key."""

    def __init__(
        self,
        find: Callable[[str], Awaitable[ApiKey | None]],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._find = find
        self._clock = clock
        self._known: OrderedDict[str, _Answer] = OrderedDict()
        self._unknown: OrderedDict[str, _Answer] = OrderedDict()

    async def get(self, digest: str, fresh_seconds: float = FRESH_SECONDS) -> ApiKey | None:
        """The key with this digest, None if there is none; as Redis had it `fresh_seconds` ago at
        most.

        Raises QueueUnavailable when Redis is away and the key has not been seen for five minutes.
        """
        answer = self._known.get(digest) or self._unknown.get(digest)
        age_seconds = self._clock() - answer.at if answer else STALE_SECONDS
        if answer and age_seconds < fresh_seconds:
            return answer.key
        try:
            key = await self._find(digest)
        except DependencyError:
            if answer and answer.key and age_seconds < STALE_SECONDS:
                return answer.key
            raise
        self._remember(digest, key)
        return key

    def _remember(self, digest: str, key: ApiKey | None) -> None:
        self._known.pop(digest, None)
        self._unknown.pop(digest, None)
        room, most = (self._known, MOST_KNOWN) if key else (self._unknown, MOST_UNKNOWN)
        room[digest] = _Answer(key, self._clock())
        while len(room) > most:
            room.popitem(last=False)
