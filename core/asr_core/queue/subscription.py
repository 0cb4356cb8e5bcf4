"""What a pub/sub connection hears, and whether it still hears anything."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import redis
from redis.asyncio.client import PubSub

PING_SECONDS = 10.0


async def messages(pubsub: PubSub) -> AsyncIterator[dict[str, Any]]:
    """Endless, pongs among them. Raises `ConnectionError` once a ping goes unanswered: behind a
    broken switch a connection stays open and silent for ever.
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
