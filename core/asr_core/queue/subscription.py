"""Messages of a pub/sub connection, with liveness checks."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import redis
from redis.asyncio.client import PubSub

PING_SECONDS = 10.0


async def messages(pubsub: PubSub) -> AsyncIterator[dict[str, Any]]:
    """Endless, pongs included. Raises `ConnectionError` on an unanswered ping: a half-open
    connection would stay silent forever.
    """
    unanswered = False
    while True:
        message = await pubsub.get_message(timeout=PING_SECONDS)
        if message is None and unanswered:
            raise redis.exceptions.ConnectionError("the subscription does not answer")
        unanswered = message is None
        if message is None:
            await pubsub.ping()
        else:
            yield message
