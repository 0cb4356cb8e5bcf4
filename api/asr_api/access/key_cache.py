"""Per-process cache of API keys from Redis, fresh for ten seconds.

While Redis is unavailable, a key that was valid is accepted for five minutes more. Any other key is
answered with 503, not 401.
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
    """Keys by digest. Unknown keys have a small cache of their own, so guesses evict no
    valid key.
    """

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
        """The key with this digest, at most `fresh_seconds` old; None if there is none.

        Raises QueueUnavailable when Redis is unavailable and the cached key is too old.
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
        cache, limit = (self._known, MOST_KNOWN) if key else (self._unknown, MOST_UNKNOWN)
        cache[digest] = _Answer(key, self._clock())
        while len(cache) > limit:
            cache.popitem(last=False)
