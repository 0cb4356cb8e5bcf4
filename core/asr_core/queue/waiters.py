"""Callers that wait for the end of a task with their connection open, as OpenAI's contract has it.

Each holds a lease while it is connected. When the last one has been gone for a while, its task is
cancelled; an equal request of the same tenant joins a run that is under way.
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
    """One request that waits. `deserted_seconds`: how long after the last has gone a task ends.

    `partials`: it reads along while the task is transcribed.
    """

    caller_id: str
    deserted_seconds: float
    partials: bool = False

    def terms(self) -> dict[str, Any]:
        """As the scripts take it."""
        return {
            "id": self.caller_id,
            "lease_ms": _lease_ms(self.deserted_seconds),
            "grace_ms": round(self.deserted_seconds * 1000),
            "owed_ms": OWED_MS,
            "partials": self.partials,
        }


@dataclass(frozen=True)
class Partials:
    """What attempt `token` has said since it was last asked; no token: nothing yet."""

    token: str
    texts: tuple[str, ...]


class Callers:
    """Leases and joins. Every method raises `QueueUnavailable` while Redis is away."""

    def __init__(self, connection: RedisConnection, *, deserted_seconds: float) -> None:
        self._redis = connection
        self._grace_ms = round(deserted_seconds * 1000)
        self._lease_ms = _lease_ms(deserted_seconds)

    @property
    def renew_seconds(self) -> float:
        """How often `attend` is due."""
        return self._lease_ms / 1000 / LEASE_SHARE

    async def join(self, tenant: str, fingerprint: str, waiter: Waiter) -> str | None:
        """The id of the equal run that `waiter` waits for from now on: one under way, or one that
        was completed within a minute and whose reply somebody did not get whole.
        """
        task_id: str = await self._redis.call(
            "join", tenant=tenant, fingerprint=fingerprint, caller=waiter.terms()
        )
        return task_id or None

    async def attend(self, callers: Collection[tuple[str, str]]) -> None:
        """Renews the leases of (task id, caller id)."""
        if callers:
            told = [{"task_id": task_id, "caller": caller} for task_id, caller in callers]
            await self._redis.call(
                "attend", callers=told, lease_ms=self._lease_ms, grace_ms=self._grace_ms
            )

    async def leave(self, task_id: str, caller_id: str, *, answered: bool) -> None:
        """`answered`: the caller has its whole reply. Safe to repeat."""
        await self._redis.call(
            "leave", task_id=task_id, caller=caller_id, answered=answered, grace_ms=self._grace_ms
        )

    async def cancel_deserted(self) -> list[str]:
        """Cancels what nobody waits for any more. Returns the ids."""
        cancelled: list[str] = await self._redis.call(
            "desert", grace_ms=self._grace_ms, owed_ms=OWED_MS, limit=_AT_ONCE
        )
        return cancelled

    async def partials(self, task_id: str, *, token: str, first: int) -> Partials:
        """What has been transcribed so far: the texts after the first `first` ones of attempt
        `token`, or all of them where another attempt is under way.
        """
        now, texts = await self._redis.call("hear", task_id=task_id, token=token, first=first)
        return Partials(now, tuple(texts))


def _lease_ms(deserted_seconds: float) -> int:
    return round(deserted_seconds * 1000 / LEASE_SHARE)
