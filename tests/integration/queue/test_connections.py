"""How many connections a program keeps, and what it says when it gets no more."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from asr_core.errors import QueueUnavailable
from asr_core.queue import RedisConnection, following
from asr_core.settings.redis import RedisSettings

pytestmark = pytest.mark.asyncio


def connected(queue: Any, name: str) -> int:
    """Connections of the client that has this name."""
    return sum(client["name"] == name for client in queue.raw.client_list())


@pytest.fixture
def named(queue: Any) -> Any:
    """Makes connections whose clients have a name."""

    def make(name: str, **settings: Any) -> RedisConnection:
        url = f"redis://admin:any@127.0.0.1:{queue.redis_settings.port}?client_name={name}"
        return RedisConnection(RedisSettings(_env_file=None, url=url, **settings))

    return make


async def burst(connection: RedisConnection, calls: int = 20) -> None:
    await asyncio.gather(*(connection.call("takes_work") for _ in range(calls)))


async def test_a_process_keeps_to_its_most_and_whoever_comes_late_waits(
    queue: Any, named: Any
) -> None:
    connection = named("few", REDIS_MAX_CONNECTIONS=3)
    await burst(connection)
    assert connected(queue, "few") == 3
    await connection.close()


async def test_what_was_open_at_the_peak_is_closed_when_nobody_uses_it(
    queue: Any, named: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = named("peak")
    await burst(connection)
    assert connected(queue, "peak") > 10
    await connection.call("takes_work")
    assert connected(queue, "peak") > 10
    monkeypatch.setattr(following, "IDLE_SECONDS", 0.05)
    async with asyncio.timeout(20):
        while connected(queue, "peak") > 1:
            await connection.call("takes_work")
    await burst(connection)  # it grows again
    await connection.close()


async def test_a_redis_without_a_free_connection_is_said_with_what_to_change(
    private_redis: Any, queue_on: Any
) -> None:
    queue = await queue_on(private_redis().settings())
    queue.raw.config_set("maxclients", 4)
    calls = (queue.connection.call("takes_work") for _ in range(20))
    refused = [r for r in await asyncio.gather(*calls, return_exceptions=True) if r != "1"]
    assert {type(each) for each in refused} == {QueueUnavailable}
    assert "raise its maxclients, or lower REDIS_MAX_CONNECTIONS" in str(refused[0])
    # Those that stand go on to be used.
    assert await queue.connection.call("takes_work")
    queue.raw.config_set("maxclients", 100)
    await burst(queue.connection)


async def test_a_database_that_redis_does_not_have_is_said_with_the_setting(queue: Any) -> None:
    url = f"redis://admin:any@127.0.0.1:{queue.redis_settings.port}/99"
    connection = RedisConnection(RedisSettings(_env_file=None, url=url))
    with pytest.raises(QueueUnavailable, match="out of range \\(REDIS_DB, or the number"):
        await connection.ready()
    await connection.close()


async def test_a_redis_in_protected_mode_is_said_in_one_line() -> None:
    reply = b"-DENIED Redis is running in protected mode because no password is set. 1) ...\r\n"

    async def deny(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(reply)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(deny, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    connection = RedisConnection(RedisSettings(_env_file=None, url=f"redis://127.0.0.1:{port}"))
    with pytest.raises(QueueUnavailable) as told:
        await connection.ready()
    assert str(told.value).endswith("because no password is set: set a password in Redis")
    await connection.close()
    server.close()


async def test_a_process_without_a_free_connection_says_which_setting_bounds_it(
    queue: Any, proxy: Any
) -> None:
    changes = {"port": proxy.port, "max_connections": 1, "timeout_seconds": 0.3}
    connection = RedisConnection(queue.redis_settings.model_copy(update=changes))
    await connection.call("takes_work")
    proxy.swallowing = True
    answers = await asyncio.gather(
        *(connection.call("takes_work") for _ in range(6)), return_exceptions=True
    )
    assert {type(answer) for answer in answers} == {QueueUnavailable}
    assert any("raise REDIS_MAX_CONNECTIONS" in str(answer) for answer in answers)
    await connection.close()
