"""Whether Redis may evict accepted tasks: its `maxmemory-policy`, polled.

Read with INFO, as managed services refuse CONFIG.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import structlog

from asr_core.errors import RedisEvicts
from asr_core.queue.connection import RedisConnection

OBSERVE_SECONDS = 60.0
_SAFE = "noeviction"
_REMEDY = "set maxmemory-policy to noeviction"
_log = structlog.get_logger(__name__)
Evicts = Literal["nothing", "expiring", "all"]


@dataclass(frozen=True)
class Eviction:
    """As reported by INFO. `policy` is empty if not reported; `evicted_keys` since
    Redis started.
    """

    policy: str
    maxmemory_bytes: int
    evicted_keys: int

    @property
    def evicts(self) -> Evicts:
        """Which keys may be evicted; none without `maxmemory`, whatever the policy."""
        if not self.maxmemory_bytes or self.policy in ("", _SAFE):
            return "nothing"
        return "expiring" if self.policy.startswith("volatile-") else "all"

    @property
    def problem(self) -> str:
        """The risk in words; empty if there is none."""
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
        """Other remarks."""
        if self.policy not in ("", _SAFE) and not self.maxmemory_bytes:
            return f"maxmemory-policy {self.policy} would evict keys once maxmemory is set"
        if self.evicted_keys:
            return f"Redis has evicted {self.evicted_keys} keys since it started"
        return ""


async def read_eviction(connection: RedisConnection) -> Eviction:
    """Raises `QueueUnavailable`."""
    reported = await connection.info("memory", "stats")
    return Eviction(
        policy=str(reported.get("maxmemory_policy", "")),
        maxmemory_bytes=int(reported.get("maxmemory", 0)),
        evicted_keys=int(reported.get("evicted_keys", 0)),
    )


class EvictionWatch:
    """Keeps the last observation and logs changes."""

    def __init__(self, connection: RedisConnection) -> None:
        self._redis = connection
        self._last: Eviction | None = None

    async def observe(self) -> Eviction:
        """Read the state now. Raises `QueueUnavailable`."""
        now = await read_eviction(self._redis)
        before, self._last = self._last, now
        _log_change(before, now)
        return now

    async def require_safe(self, *, refresh: bool = False) -> None:
        """Raises `RedisEvicts` if accepted tasks may be evicted, and `QueueUnavailable`. Without
        `refresh` the last observation is used unless it was a refusal, so that a refusal ends at
        once.
        """
        state = self._last
        if refresh or state is None or state.evicts == "all":
            state = await self.observe()
        if state.evicts == "all":
            raise RedisEvicts(state.problem)


def _log_change(before: Eviction | None, now: Eviction) -> None:
    fields = {"policy": now.policy, "maxmemory_bytes": now.maxmemory_bytes}
    if before is None or (before.policy, before.evicts) != (now.policy, now.evicts):
        if now.problem:
            log = _log.error if now.evicts == "all" else _log.warning
            log("redis_evicts", reason=now.problem, **fields)
        elif before is not None and before.problem:
            _log.info("redis_evicts_no_more", **fields)
        elif now.policy not in ("", _SAFE):
            _log.warning("redis_would_evict", reason=now.note, **fields)
    if now.evicted_keys > (before.evicted_keys if before else 0):
        _log.warning("redis_has_evicted", evicted_keys=now.evicted_keys, **fields)
