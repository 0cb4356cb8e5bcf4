"""`asr queue webhooks` and `asr queue send-again`."""

import json
from typing import Any

import pytest
import uuid_utils

from asr_core.queue import Outbox, Producer, RedisConnection, TryOutcome
from asr_core.settings.queue import QueueSettings
from asr_core.task import NewTask


async def give_up(connection: RedisConnection, count: int) -> None:
    """Webhooks of cancelled tasks, refused by their receiver."""
    producer, outbox = Producer(connection, QueueSettings()), Outbox(connection)
    for _ in range(count):
        task = NewTask(
            task_id=str(uuid_utils.uuid7()),
            bytes=3,
            duration_seconds=1,
            webhook="https://example.com/hook?key=hush",
        )
        await producer.submit(task)
        await producer.cancel(task.task_id)
    for webhook in await outbox.take(token="t", limit=100, per_destination=100, busy={}):
        await outbox.report(webhook, TryOutcome.DEAD, reason="the receiver answered 410")


@pytest.mark.asyncio
async def test_webhooks_that_were_given_up_are_listed_and_sent_again(
    asr: Any, redis_server: Any
) -> None:
    asr.environment["REDIS_PORT"] = str(redis_server.port)
    connection = RedisConnection(redis_server.settings())
    await give_up(connection, 3)
    first = json.loads(asr("queue", "webhooks", "--json", "--limit", "1").stdout)
    (row,) = first["webhooks"]
    assert (row["receiver"], row["tries"]) == ("example.com", 1)
    assert row["reason"] == "the receiver answered 410"
    table = asr("queue", "webhooks").stdout
    assert "hush" not in table
    one = asr("queue", "send-again", row["place"])
    assert one.stdout.split() == [row["webhook_id"]]
    assert asr("queue", "send-again", row["place"]).returncode != 0
    assert len(asr("queue", "send-again", "--all").stdout.split()) == 2
    depth = await Outbox(connection).depth()
    assert (depth.waiting, depth.dead) == (3, 0)
    await connection.close()
