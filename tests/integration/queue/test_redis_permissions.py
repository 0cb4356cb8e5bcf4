"""A user of Redis who lacks a permission is told which, at the start and whenever it is taken away.

What suffices is shown by all the other tests: whoever names no user has the documented least there.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import pytest_asyncio

from asr_core.errors import PermissionMissing, QueueUnavailable
from asr_core.keys import Keys
from asr_core.queue import RedisConnection
from asr_core.queue.permissions import CHANNEL, COMMANDS, KEY, acl_rules

pytestmark = pytest.mark.asyncio

Connect = Callable[..., RedisConnection]


@pytest.fixture
def server(private_redis: Callable[..., Any]) -> Any:
    return private_redis()


@pytest_asyncio.fixture
async def connect(server: Any) -> AsyncIterator[Connect]:
    """Makes connections of the user `speech`, who gets these rules."""
    made: list[RedisConnection] = []

    def make(*rules: str, prefix: str = "") -> RedisConnection:
        with server.client() as admin:
            admin.execute_command("ACL", "SETUSER", "speech", "reset", "on", ">pw", *rules)
        who = {"username": "speech", "password": "pw", "key_prefix": prefix}
        made.append(RedisConnection(server.settings(**who)))
        return made[-1]

    yield make
    for connection in made:
        await connection.close()


async def lacks(connection: RedisConnection) -> str:
    with pytest.raises(PermissionMissing) as refused:
        await connection.ready()
    return refused.value.message


async def test_without_dangerous_commands_info_lacks_and_is_named_with_the_remedy(
    server: Any, connect: Connect
) -> None:
    connection = connect("~asr*", "&asr*", "+@all", "-@dangerous")
    told = await lacks(connection)
    assert told == (
        "the Redis user 'speech' may not run INFO: ACL SETUSER speech +info "
        "(docs/operations.md#redis-user)"
    )
    with server.client() as admin:
        assert admin.acl_log() == []
        assert admin.dbsize() == 0
        admin.execute_command(*told.split(": ")[1].split(" (")[0].split())
    await connection.ready()


async def test_each_command_that_lacks_is_named(server: Any, connect: Connect) -> None:
    connection = connect(*acl_rules())
    await connection.ready()
    with server.client() as admin:
        for name in COMMANDS.keys() - {"select", "cluster|slots"}:
            admin.execute_command("ACL", "SETUSER", "speech", f"-{name}")
            told = await lacks(connection)
            assert name.upper().replace("|", " ") in told.upper().replace("|", " "), told
            admin.execute_command("ACL", "SETUSER", "speech", f"+{name}")
        assert "SELECT" not in told
    await connection.ready()


@pytest.mark.parametrize("prefix", ["", "speech"])
async def test_keys_and_channels_that_lack_are_named(connect: Connect, prefix: str) -> None:
    root = Keys(prefix).root
    keys, tasks, channels = f"~{root}asr:*", f"~{root}asr_tasks*", f"&{root}asr:*"
    assert "+publish +subscribe &" + root in await lacks(
        connect(keys, tasks, "+@all", prefix=prefix)
    )
    told = await lacks(connect(keys, channels, "+@all", prefix=prefix))
    assert f"read and write the keys {root}asr_tasks*: ACL SETUSER speech {tasks} (" in told
    told = await lacks(connect(f"%R{keys}", tasks, channels, "+@all", "-info", prefix=prefix))
    assert f"may not run INFO, nor read and write the keys {root}asr:*: " in told
    told = await lacks(connect("+info", prefix=prefix))
    assert "evalsha" in told
    await connect(keys, tasks, channels, "+@all", prefix=prefix).ready()


async def test_the_user_of_another_platform_on_the_same_redis_is_refused(connect: Connect) -> None:
    connection = connect(*acl_rules("green"), prefix="blue")
    assert "~{blue}:asr:* ~{blue}:asr_tasks* &{blue}:asr:*" in await lacks(connection)


async def test_the_examples_have_the_number_of_arguments_that_redis_expects(server: Any) -> None:
    """Redis 7.0 panics where the keys of a command with too few arguments are looked for."""
    with server.client() as admin:
        for name, arguments in COMMANDS.items():
            command = name.split("|")
            [told] = admin.execute_command("COMMAND", "INFO", name).values()
            arity = told["arity"]
            count = len(command) + len(arguments)
            assert count == arity if arity > 0 else count >= -arity, name
            if KEY in arguments:
                keys = admin.command_getkeys(*command, *arguments)
                assert keys == [KEY], name
            assert (CHANNEL in arguments) is (name in ("publish", "subscribe"))


async def test_a_permission_that_is_taken_away_is_named_and_no_answer_is_made_up(
    server: Any, connect: Connect, queue_on: Any
) -> None:
    """Redis 7.0 does not say what a script lacked, and `no group` is what XPENDING seems to say."""
    connect(*acl_rules())
    queue = await queue_on(server.settings(username="speech", password="pw"))
    consumer = await queue.consumer()
    await queue.submit(2)
    [claim] = await queue.claim(consumer, 1)
    steps: dict[str, Callable[[], Any]] = {
        "info": queue.backlog,
        "xpending": queue.backlog,
        "xclaim": lambda: consumer.release([(claim.task.task_id, claim.token)]),
        "xinfo|consumers": lambda: queue.upkeep.reconcile(force=True),
        "hgetall": lambda: queue.producer.get(claim.task.task_id),
        "zrange": lambda: queue.reader.workers("default"),
    }
    with server.client() as admin:
        for name, step in steps.items():
            admin.execute_command("ACL", "SETUSER", "speech", f"-{name}")
            with pytest.raises(QueueUnavailable) as refused:
                await step()
            assert name.replace("|", " ") in refused.value.message.lower()
            admin.execute_command("ACL", "SETUSER", "speech", f"+{name}")
    assert (await queue.backlog()).in_flight == 1
    await queue.finish(consumer, claim)
    assert (await queue.producer.get(claim.task.task_id)).state == "completed"
