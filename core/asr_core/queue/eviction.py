"""Whether Redis may throw away what was accepted: its `maxmemory-policy`, read again and again.

INFO says it where CONFIG is refused, as by managed services.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import structlog

from asr_core.errors import RedisEvicts
from asr_core.queue.connection import RedisConnection

LOOK_SECONDS = 60.0
_SAFE = "noeviction"
_REMEDY = "set maxmemory-policy to noeviction"
_log = structlog.get_logger(__name__)
Evicts = Literal["nothing", "expiring", "all"]


@dataclass(frozen=True)
class Eviction:
    """As Redis tells it. An empty `policy` was not told; `evicted_keys` since Redis started."""

    policy: str
    maxmemory_bytes: int
    evicted_keys: int

    @property
    def evicts(self) -> Evicts:
        """Which keys may vanish. Without `maxmemory` none does, whatever the policy."""
        if not self.maxmemory_bytes or self.policy in ("", _SAFE):
            return "nothing"
        return "expiring" if self.policy.startswith("volatile-") else "all"

    @property
    def problem(self) -> str:
        """What may happen, in words; empty where nothing may."""
        if self.evicts == "all":
            return (
                f"Redis evicts any key when it is full (maxmemory-policy {self.policy}), and with "
                f"it accepted tasks: no new work is taken until you {_REMEDY}"
            )
        if self.evicts == "expiring":
            return (
                f"Redis evicts keys that expire when it is full (maxmemory-policy {self.policy}): "
                "idempotency keys, so that a repeated submit makes a second task, API keys with an "
                f"end, and numbers; {_REMEDY}"
            )
        return ""

    @property
    def note(self) -> str:
        """What is worth knowing besides."""
        if self.policy not in ("", _SAFE) and not self.maxmemory_bytes:
            return f"maxmemory-policy {self.policy} would evict keys once maxmemory is set"
        if self.evicted_keys:
            return f"Redis has evicted {self.evicted_keys} keys since it started"
        return ""


async def read_eviction(connection: RedisConnection) -> Eviction:
    """Raises `QueueUnavailable`."""
    told = await connection.info("memory", "stats")
    return Eviction(
        policy=str(told.get("maxmemory_policy", "")),
        maxmemory_bytes=int(told.get("maxmemory", 0)),
        evicted_keys=int(told.get("evicted_keys", 0)),
    )


class EvictionWatch:
    """The last look, and a word in the log whenever it has changed."""

    def __init__(self, connection: RedisConnection) -> None:
        self._redis = connection
        self._seen: Eviction | None = None

    async def look(self) -> Eviction:
        """Asks now. Raises `QueueUnavailable`."""
        now = await read_eviction(self._redis)
        before, self._seen = self._seen, now
        _tell_change(before, now)
        return now

    async def require_safe(self, *, anew: bool = False) -> None:
        """Raises `RedisEvicts` where accepted tasks may vanish, and `QueueUnavailable`. Without
        `anew` the last look counts, but for a refusal, which thus ends at once.
        """
        seen = self._seen
        if anew or seen is None or seen.evicts == "all":
            seen = await self.look()
        if seen.evicts == "all":
            raise RedisEvicts(seen.problem)


def _tell_change(before: Eviction | None, now: Eviction) -> None:
    fields = {"policy": now.policy, "maxmemory_bytes": now.maxmemory_bytes}
    if before is None or (before.policy, before.evicts) != (now.policy, now.evicts):
        if now.problem:
            tell = _log.error if now.evicts == "all" else _log.warning
            tell("redis_evicts", reason=now.problem, **fields)
        elif before is not None and before.problem:
            _log.info("redis_evicts_no_more", **fields)
        elif now.policy not in ("", _SAFE):
            _log.warning("redis_would_evict", reason=now.note, **fields)
    if now.evicted_keys > (before.evicted_keys if before else 0):
        _log.warning("redis_has_evicted", evicted_keys=now.evicted_keys, **fields)
