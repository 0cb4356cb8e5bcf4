"""Webhooks on their way: from the outbox into lines, one per tenant and receiver, and out or to
the dead."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from asr_core.queue.connection import RedisConnection, redis_errors
from asr_core.queue.record import pairs
from asr_core.task import State, TaskError
from asr_core.text_limits import ERROR_MESSAGE

LEASE_SECONDS = 30.0
# Beyond this many on their way, new ones wait in the outbox, which has a bound of its own.
CAPACITY = 100_000
TENANT_CAPACITY = CAPACITY // 2  # beyond, those of one tenant end among the dead at once


class TryOutcome(StrEnum):
    """What became of one try."""

    DONE = "done"
    RETRY = "retry"
    DEAD = "dead"


@dataclass(frozen=True)
class Webhook:
    """One message to one receiver. `webhook_id` stays the same over all tries; `at` is when the
    task ended, in Unix seconds on Redis's clock. `line` is tenant and receiver.
    """

    webhook_id: str
    token: str
    task_id: str
    state: State
    url: str
    line: str
    at: float
    attempts: int
    error: TaskError | None
    reason: str = ""

    @property
    def receiver(self) -> str:
        """Host and port, as the `Host` header has them."""
        return self.line.rpartition("|")[2]


@dataclass(frozen=True)
class DeadWebhook:
    """A message that was given up; `place` names it to `put_back`."""

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
    """`waiting` in the outbox and in lines, tries that back off among them; `dead` given up."""

    waiting: int
    oldest_seconds: float
    dead: int


class Outbox:
    """Any number of couriers share it: what one has taken is due for all again when its lease ends,
    and costs no try. Every method raises `QueueUnavailable` while Redis is away.
    """

    def __init__(
        self, connection: RedisConnection, *, lease_seconds: float = LEASE_SECONDS
    ) -> None:
        self._redis = connection
        self._keys = connection.keys
        self._lease_ms = round(lease_seconds * 1000)

    async def take(
        self, *, token: str, limit: int, per_line: int, busy: Mapping[str, int], reserved: int = 0
    ) -> list[Webhook]:
        """Up to `limit` that are due, at most `per_line` of one line with those in `busy`. The last
        `reserved` are only for tenants that have nothing in `busy`.
        """
        replies = await self._redis.call(
            "webhook_take",
            token=token,
            limit=limit,
            per_line=per_line,
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
        """Says what became of a try. Repeating it, or coming too late, changes nothing."""
        await self._redis.call(
            "webhook_report",
            id=webhook.webhook_id,
            token=webhook.token,
            outcome=outcome.value,
            reason=ERROR_MESSAGE.cut(reason),
            delay_ms=round(delay_seconds * 1000),
        )

    async def dead(self, *, cursor: str = "", limit: int = 50) -> DeadWebhookPage:
        """What was given up, with the reason; the newest 10,000 are kept."""
        with redis_errors():
            entries = await self._redis.client.xrange(
                self._keys.webhooks_dead, min=f"({cursor}" if cursor else "-", count=limit + 1
            )
        found = [
            DeadWebhook(place, int(place.split("-")[0]) / 1000, _webhook(fields))
            for place, fields in entries[:limit]
        ]
        return DeadWebhookPage(found, entries[limit - 1][0] if len(entries) > limit else "")

    async def put_back(self, places: Sequence[str]) -> list[str]:
        """Gives dead ones all their tries again; returns the webhook ids that were found."""
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
                (seconds, _), new, first, lined_up, oldest, dead = await pipe.execute()
        since = [int(entry.split("-")[0]) / 1000 for entry, _ in first]
        since += [score / 1000 for _, score in oldest]
        return OutboxDepth(new + lined_up, max(0.0, seconds - min(since, default=seconds)), dead)


def _webhook(fields: Mapping[str, str]) -> Webhook:
    code = fields.get("code", "")
    return Webhook(
        webhook_id=fields["id"],
        token=fields.get("token", ""),
        task_id=fields["task_id"],
        state=State(fields["state"]),
        url=fields["url"],
        line=fields["line"],
        at=int(fields["at"]) / 1000,
        attempts=int(fields["attempts"]),
        error=TaskError(code=code, message=fields.get("message", "")) if code else None,
        reason=fields.get("reason", ""),
    )
