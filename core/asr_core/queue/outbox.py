"""Webhook delivery: from the outbox into one destination queue per tenant and receiver, then
delivered or dead-lettered.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from asr_core.queue.connection import RedisConnection, redis_errors
from asr_core.queue.record import pairs
from asr_core.task import State, TaskError
from asr_core.text_limits import ERROR_MESSAGE

LEASE_SECONDS = 30.0
# Beyond this many in destination queues, new ones wait in the outbox, which has its own bound.
CAPACITY = 100_000
TENANT_CAPACITY = CAPACITY // 2  # beyond this, a tenant's webhooks are dead-lettered at once


class TryOutcome(StrEnum):
    """Outcome of one attempt."""

    DONE = "done"
    RETRY = "retry"
    DEAD = "dead"


@dataclass(frozen=True)
class Webhook:
    """One message to one receiver. `webhook_id` stays the same over all attempts; `at` is when the
    task ended, in Unix seconds on Redis's clock. `destination` is tenant and receiver.
    """

    webhook_id: str
    token: str
    task_id: str
    state: State
    url: str
    destination: str
    at: float
    attempts: int
    error: TaskError | None
    reason: str = ""

    @property
    def receiver(self) -> str:
        """Host and port, as the `Host` header has them."""
        return self.destination.rpartition("|")[2]


@dataclass(frozen=True)
class DeadWebhook:
    """A dead letter; `place` identifies it for `redrive`."""

    place: str
    died_at: float
    webhook: Webhook


@dataclass(frozen=True)
class DeadWebhookPage:
    """Oldest first; `next_cursor` is empty at the end."""

    webhooks: list[DeadWebhook]
    next_cursor: str


@dataclass(frozen=True)
class OutboxDepth:
    """`waiting`: in the outbox and in destination queues, retries included; `dead`:
    dead letters.
    """

    waiting: int
    oldest_seconds: float
    dead: int


class Outbox:
    """Shared by any number of couriers: when a lease expires the webhook is due again, without
    counting an attempt. Every method raises `QueueUnavailable` while Redis is unavailable.
    """

    def __init__(
        self, connection: RedisConnection, *, lease_seconds: float = LEASE_SECONDS
    ) -> None:
        self._redis = connection
        self._keys = connection.keys
        self._lease_ms = round(lease_seconds * 1000)

    async def take(
        self,
        *,
        token: str,
        limit: int,
        per_destination: int,
        busy: Mapping[str, int],
        reserved: int = 0,
    ) -> list[Webhook]:
        """Up to `limit` that are due, at most `per_destination` each, those in `busy` included.
        The last `reserved` are for tenants with nothing in `busy`.
        """
        replies = await self._redis.call(
            "webhook_take",
            token=token,
            limit=limit,
            per_line=per_destination,
            busy=dict(busy),
            reserved=reserved,
            lease_ms=self._lease_ms,
            capacity=CAPACITY,
            tenant_capacity=TENANT_CAPACITY,
        )
        return [_webhook(pairs(flat)) for flat in replies]

    async def report(
        self, webhook: Webhook, outcome: TryOutcome, *, reason: str = "", delay_seconds: float = 0
    ) -> None:
        """Report the outcome of an attempt. Repeated or late reports change nothing."""
        await self._redis.call(
            "webhook_report",
            id=webhook.webhook_id,
            token=webhook.token,
            outcome=outcome.value,
            reason=ERROR_MESSAGE.cut(reason),
            delay_ms=round(delay_seconds * 1000),
        )

    async def dead(self, *, cursor: str = "", limit: int = 50) -> DeadWebhookPage:
        """Dead letters with their reason; the newest 10,000 are kept."""
        with redis_errors():
            entries = await self._redis.client.xrange(
                self._keys.webhooks_dead, min=f"({cursor}" if cursor else "-", count=limit + 1
            )
        found = [
            DeadWebhook(place, int(place.split("-")[0]) / 1000, _webhook(fields))
            for place, fields in entries[:limit]
        ]
        return DeadWebhookPage(found, entries[limit - 1][0] if len(entries) > limit else "")

    async def redrive(self, places: Sequence[str]) -> list[str]:
        """Requeue dead letters with a fresh retry budget; returns the webhook ids that
        were found.
        """
        ids: list[str] = await self._redis.call("webhook_put_back", places=list(places))
        return ids

    async def depth(self) -> OutboxDepth:
        """How much waits to be delivered, and how long the oldest has."""
        with redis_errors():
            async with self._redis.client.pipeline(transaction=False) as pipe:
                pipe.time()
                pipe.xlen(self._keys.outbox)
                pipe.xrange(self._keys.outbox, count=1)
                pipe.zcard(self._keys.webhooks)
                pipe.zrange(self._keys.webhooks, 0, 0, withscores=True)
                pipe.xlen(self._keys.webhooks_dead)
                (seconds, _), new, first, queued, oldest, dead = await pipe.execute()
        since = [int(entry.split("-")[0]) / 1000 for entry, _ in first]
        since += [score / 1000 for _, score in oldest]
        return OutboxDepth(new + queued, max(0.0, seconds - min(since, default=seconds)), dead)


def _webhook(fields: Mapping[str, str]) -> Webhook:
    code = fields.get("code", "")
    return Webhook(
        webhook_id=fields["id"],
        token=fields.get("token", ""),
        task_id=fields["task_id"],
        state=State(fields["state"]),
        url=fields["url"],
        destination=fields["line"],
        at=int(fields["at"]) / 1000,
        attempts=int(fields["attempts"]),
        error=TaskError(code=code, message=fields.get("message", "")) if code else None,
        reason=fields.get("reason", ""),
    )
