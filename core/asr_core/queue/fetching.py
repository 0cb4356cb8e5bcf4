"""Recordings to be fetched: tasks in state `fetching`, in one destination queue per tenant and
host.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass

from asr_core.errors import RetryPolicy
from asr_core.queue.connection import RedisConnection, redis_errors
from asr_core.queue.outcome import Outcome
from asr_core.queue.record import from_hash, pairs
from asr_core.settings.queue import QueueSettings
from asr_core.task import State, Task
from asr_core.text_limits import ERROR_MESSAGE

POSTPONE_SECONDS = 10.0
_JITTER = (0.8, 1.2)


@dataclass(frozen=True)
class Fetch:
    """A task taken by this courier; `destination` is tenant and host."""

    task: Task
    token: str
    destination: str


class Fetching:
    """Any number of couriers share it. All methods raise `QueueUnavailable` while Redis is away."""

    def __init__(self, connection: RedisConnection, settings: QueueSettings) -> None:
        self._redis = connection
        self._keys = connection.keys
        self._settings = settings

    async def take(
        self,
        *,
        token: str,
        limit: int,
        per_destination: int,
        busy: Mapping[str, int],
        reserved: int = 0,
    ) -> list[Fetch]:
        """Up to `limit` that are due, at most `per_destination` each, those in `busy` included.
        The last `reserved` are for tenants with nothing in `busy`.
        """
        replies = await self._redis.call(
            "fetch_take",
            token=token,
            limit=limit,
            per_line=per_destination,
            busy=dict(busy),
            reserved=reserved,
            lease_ms=self._lease_ms,
        )
        return [Fetch(from_hash(pairs(flat)), token, place) for token, place, flat in replies]

    async def renew(self, fetch: Fetch) -> Outcome:
        """Keeps the task for another lease; anything but `OK` means to drop it."""
        return Outcome(
            await self._redis.call(
                "fetch_renew",
                task_id=fetch.task.task_id,
                token=fetch.token,
                lease_ms=self._lease_ms,
            )
        )

    async def fetched(
        self, fetch: Fetch, *, size_bytes: int, duration_seconds: float, content_type: str
    ) -> Outcome:
        """Queues a task whose audio is now in the store."""
        return Outcome(
            await self._redis.call(
                "fetched",
                task_id=fetch.task.task_id,
                token=fetch.token,
                bytes=size_bytes,
                duration_ms=round(duration_seconds * 1000),
                content_type=content_type,
                window=self._settings.tenant_window,
            )
        )

    async def failed(
        self,
        fetch: Fetch,
        policy: RetryPolicy,
        *,
        code: str,
        message: str,
        backoff_seconds: float | None = None,
        not_before_seconds: float = 0,
    ) -> State | None:
        """Report a failure. Returns the task's state now; None if its lease was lost.

        `backoff_seconds` is the first pause; it doubles with each try that counted.
        """
        if backoff_seconds is None:
            backoff_seconds = self._settings.retry_backoff_seconds
            if policy is RetryPolicy.POSTPONE:
                backoff_seconds = POSTPONE_SECONDS
        outcome, state = await self._redis.call(
            "fetch_failed",
            task_id=fetch.task.task_id,
            token=fetch.token,
            kind=policy.value,
            code=code,
            message=ERROR_MESSAGE.cut(message),
            retry_limit=self._settings.retry_limit,
            backoff_ms=round(backoff_seconds * 1000),
            jitter=random.uniform(*_JITTER),
            not_before_ms=round(not_before_seconds * 1000),
        )
        return State(state) if outcome == Outcome.OK else None

    async def depth(self) -> int:
        """How many tasks wait for their recording, in all pools."""
        with redis_errors():
            async with self._redis.client.pipeline(transaction=False) as pipe:
                for pool in self._settings.pools:
                    pipe.zcard(self._keys.fetching(pool))
                return sum(await pipe.execute())

    @property
    def _lease_ms(self) -> int:
        return round(self._settings.lease_seconds * 1000)
