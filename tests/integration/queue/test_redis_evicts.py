"""What the log says of a Redis that evicts: each change once, in words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import structlog.testing

from asr_core.errors import RedisEvicts
from asr_core.queue import EvictionWatch, RedisConnection

pytestmark = pytest.mark.asyncio


async def test_each_change_of_the_policy_is_told_once(private_redis: Callable[..., Any]) -> None:
    server = private_redis("--maxmemory", "100mb")
    connection = RedisConnection(server.settings())
    watch = EvictionWatch(connection)
    reported: list[tuple[str, str]] = []
    with server.client() as admin:
        for policy in ("noeviction", "volatile-ttl", "allkeys-lru", "allkeys-lru", "noeviction"):
            admin.config_set("maxmemory-policy", policy)
            for _ in range(2):
                with structlog.testing.capture_logs() as logs:
                    await watch.observe()
                reported += [(log["event"], log["log_level"], log["policy"]) for log in logs]
    await connection.close()
    assert reported == [
        ("redis_evicts", "warning", "volatile-ttl"),
        ("redis_evicts", "error", "allkeys-lru"),
        ("redis_evicts_no_more", "info", "noeviction"),
    ]


async def test_a_refusal_is_looked_at_anew_and_a_permission_only_once_in_a_while(
    private_redis: Callable[..., Any],
) -> None:
    server = private_redis("--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru")
    connection = RedisConnection(server.settings())
    watch = EvictionWatch(connection)
    with server.client() as admin:
        for _ in range(2):
            with pytest.raises(RedisEvicts):
                await watch.require_safe()
        admin.config_set("maxmemory-policy", "noeviction")
        await watch.require_safe()
        asked = admin.info("commandstats")["cmdstat_info"]["calls"]
        await watch.require_safe()
        assert admin.info("commandstats")["cmdstat_info"]["calls"] == asked + 1
    await connection.close()
