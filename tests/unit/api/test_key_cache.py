"""What a pod remembers of keys, and for how long."""

from __future__ import annotations

import pytest

from asr_api.access import key_cache
from asr_api.access.key_cache import KeyCache
from asr_core.access import ApiKey, Scope
from asr_core.errors import QueueUnavailable

pytestmark = pytest.mark.asyncio

KEY = ApiKey("1", "laptop", "acme", frozenset({Scope.READ}), 0.0)


class Redis:
    """The keys there are, a clock, and how often it was asked."""

    def __init__(self) -> None:
        self.keys: dict[str, ApiKey] = {"good": KEY}
        self.away = False
        self.asked = 0
        self.now = 0.0
        self.cache = KeyCache(self.find, clock=lambda: self.now)

    async def find(self, digest: str) -> ApiKey | None:
        self.asked += 1
        if self.away:
            raise QueueUnavailable("away")
        return self.keys.get(digest)


async def test_a_key_is_asked_for_once_in_ten_seconds_and_refused_after_them_if_revoked() -> None:
    redis = Redis()
    assert [await redis.cache.get("good") for _ in range(5)] == [KEY] * 5
    assert redis.asked == 1
    redis.keys.clear()
    redis.now = 9.9
    assert await redis.cache.get("good") == KEY
    redis.now = 10.0
    assert await redis.cache.get("good") is None


async def test_a_new_key_is_known_ten_seconds_after_it_was_tried_too_early() -> None:
    redis = Redis()
    assert await redis.cache.get("later") is None
    redis.keys["later"] = KEY
    redis.now = 10.0
    assert await redis.cache.get("later") == KEY


async def test_without_redis_a_known_key_goes_on_for_five_minutes_and_no_other_is_judged() -> None:
    redis = Redis()
    await redis.cache.get("good")
    await redis.cache.get("wrong")
    redis.away = True
    redis.now = 299.0
    assert await redis.cache.get("good") == KEY
    for digest in ("wrong", "never seen"):
        with pytest.raises(QueueUnavailable):
            await redis.cache.get(digest)
    redis.now = 300.0
    with pytest.raises(QueueUnavailable):
        await redis.cache.get("good")


async def test_guesses_fill_a_bounded_room_and_push_out_no_good_key() -> None:
    redis = Redis()
    await redis.cache.get("good")
    for number in range(3 * key_cache.MOST_UNKNOWN):
        await redis.cache.get(f"guess-{number}")
    asked = redis.asked
    assert await redis.cache.get("good") == KEY
    assert redis.asked == asked
    assert len(redis.cache._unknown) == key_cache.MOST_UNKNOWN
