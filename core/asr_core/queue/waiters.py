"""Clients that wait for a task with an open connection, as in OpenAI's API.

Each holds a lease while connected. A task whose last waiter has been gone for the grace period is
cancelled as abandoned; an equal request of the same tenant joins a run in progress.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from asr_core.queue.connection import RedisConnection

LEASE_SHARE = 3.0
OWED_MS = 60_000
_AT_ONCE = 100


@dataclass(frozen=True)
class Waiter:
    """One waiting request. `grace_seconds`: how long after its last waiter a task is cancelled.

    `partials`: the client reads the partial transcript.
    """

    caller_id: str
    grace_seconds: float
    partials: bool = False

    def terms(self) -> dict[str, Any]:
        """Arguments of the scripts."""
        return {
            "id": self.caller_id,
            "lease_ms": _lease_ms(self.grace_seconds),
            "grace_ms": round(self.grace_seconds * 1000),
            "owed_ms": OWED_MS,
            "partials": self.partials,
        }


@dataclass(frozen=True)
class PartialTranscript:
    """New texts of attempt `token` since the last read; no token: none yet."""

    token: str
    texts: tuple[str, ...]


class WaiterRegistry:
    """Waiter leases and joins. Every method raises `QueueUnavailable` while Redis is
    unavailable.
    """

    def __init__(self, connection: RedisConnection, *, grace_seconds: float) -> None:
        self._redis = connection
        self._grace_ms = round(grace_seconds * 1000)
        self._lease_ms = _lease_ms(grace_seconds)

    @property
    def renew_seconds(self) -> float:
        """How often `renew` is due."""
        return self._lease_ms / 1000 / LEASE_SHARE

    async def join(self, tenant: str, fingerprint: str, waiter: Waiter) -> str | None:
        """The id of an equal run that `waiter` has joined: one in progress, or one completed within
        a minute whose reply some client did not receive whole.
        """
        task_id: str = await self._redis.call(
            "join", tenant=tenant, fingerprint=fingerprint, caller=waiter.terms()
        )
        return task_id or None

    async def renew(self, callers: Collection[tuple[str, str]]) -> None:
        """Renew the leases of (task id, caller id)."""
        if callers:
            waiters = [{"task_id": task_id, "caller": caller} for task_id, caller in callers]
            await self._redis.call(
                "attend", callers=waiters, lease_ms=self._lease_ms, grace_ms=self._grace_ms
            )

    async def leave(self, task_id: str, caller_id: str, *, answered: bool) -> None:
        """Release a lease; `answered`: the client has its whole reply. Idempotent."""
        await self._redis.call(
            "leave", task_id=task_id, caller=caller_id, answered=answered, grace_ms=self._grace_ms
        )

    async def cancel_abandoned(self) -> list[str]:
        """Cancel abandoned tasks. Returns their ids."""
        cancelled: list[str] = await self._redis.call(
            "desert", grace_ms=self._grace_ms, owed_ms=OWED_MS, limit=_AT_ONCE
        )
        return cancelled

    async def read_partials(self, task_id: str, *, token: str, first: int) -> PartialTranscript:
        """What has been transcribed so far: the texts after the first `first` ones of attempt
        `token`, or all of them where another attempt is under way.
        """
        now, texts = await self._redis.call("hear", task_id=task_id, token=token, first=first)
        return PartialTranscript(now, tuple(texts))


def _lease_ms(grace_seconds: float) -> int:
    return round(grace_seconds * 1000 / LEASE_SHARE)
