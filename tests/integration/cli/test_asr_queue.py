from __future__ import annotations

import json
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import uuid_utils

from asr_core.queue import Consumer, Failure, Producer, RedisConnection
from asr_core.settings.queue import QueueSettings
from asr_core.task import NewTask, State


@pytest_asyncio.fixture
async def connection(redis_server: Any, asr: Any) -> AsyncIterator[RedisConnection]:
    """The queue that `asr` is pointed at."""
    asr.environment["REDIS_PORT"] = str(redis_server.port)
    made = RedisConnection(redis_server.settings())
    yield made
    await made.close()


async def submit(connection: RedisConnection, count: int) -> list[str]:
    producer = Producer(connection, QueueSettings())
    await producer.prepare()
    tasks = [
        NewTask(task_id=str(uuid_utils.uuid7()), bytes=3, duration_seconds=60.0, filename="a.wav")
        for _ in range(count)
    ]
    return [(await producer.submit(task)).task_id for task in tasks]


async def dead_letter(connection: RedisConnection, count: int) -> list[str]:
    """Dead letters: tasks whose transient failures are used up."""
    ids = await submit(connection, count)
    consumer = Consumer(connection, QueueSettings(retry_limit=0), pool="default", name="w-1")
    await consumer.prepare()
    while claims := await consumer.claim(room_seconds=1e6, room_tasks=100, in_flight=0):
        await consumer.fail(
            [Failure(c.task.task_id, c.token, "engine_failed", "broke", False) for c in claims]
        )
    return ids


@pytest.mark.asyncio
async def test_status_counts_what_waits(asr: Any, connection: RedisConnection) -> None:
    await submit(connection, 3)
    done = asr("queue", "status", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["waiting"], told["in_flight"], told["audio_seconds"]) == (3, 0, 180.0)
    assert "3 min" in asr("queue", "status").stdout
    own = asr("queue", "status", "--tenant", "acme", "--json")
    assert (json.loads(own.stdout)["waiting"], json.loads(own.stdout)["tenant"]) == (0, "acme")
    assert "tenant default" in asr("queue", "status", "--tenant", "default").stdout


@pytest.mark.asyncio
async def test_dead_letters_are_listed_and_put_back(asr: Any, connection: RedisConnection) -> None:
    first, *others = await dead_letter(connection, 3)
    listed = json.loads(asr("queue", "dead", "--json").stdout)["dead_letters"]
    assert {letter["task_id"] for letter in listed} == {first, *others}
    assert asr("queue", "put-back", first).stdout.split() == [first]
    rest = asr("queue", "put-back", "--all")
    assert rest.returncode == 0, rest.stderr
    assert sorted(rest.stdout.split()) == sorted(others)
    producer = Producer(connection, QueueSettings())
    assert {(await producer.get(task_id)).state for task_id in (first, *others)} == {State.QUEUED}
    assert "no dead letters" in asr("queue", "dead").stdout


@pytest.mark.asyncio
async def test_a_page_of_dead_letters_leads_to_the_next(
    asr: Any, connection: RedisConnection
) -> None:
    ids = await dead_letter(connection, 3)
    page = json.loads(asr("queue", "dead", "--limit", "2", "--json").stdout)
    cursor = page["next_cursor"]
    rest = json.loads(asr("queue", "dead", "--cursor", cursor, "--json").stdout)
    letters = page["dead_letters"] + rest["dead_letters"]
    assert sorted(letter["task_id"] for letter in letters) == sorted(ids)


@pytest.mark.asyncio
async def test_putting_back_what_is_not_dead_fails_and_the_rest_is_put_back(
    asr: Any, connection: RedisConnection
) -> None:
    (dead,) = await dead_letter(connection, 1)
    done = asr("queue", "put-back", "no-such-task", dead)
    assert done.returncode == 1
    assert done.stdout.split() == [dead]
    assert "no-such-task" in done.stderr


@pytest.mark.asyncio
async def test_reconcile_queues_again_what_fell_out_of_the_stream(
    asr: Any, connection: RedisConnection, redis_server: Any
) -> None:
    await submit(connection, 2)
    with redis_server.client() as redis:
        redis.delete("asr_tasks")
    told = json.loads(asr("reconcile", "--json").stdout)
    assert told["readded"] == 2
    assert json.loads(asr("queue", "status", "--json").stdout)["waiting"] == 2


@pytest.mark.asyncio
async def test_a_store_of_another_redis_is_swept_only_after_a_person_has_adopted_it(
    asr: Any, connection: RedisConnection, tmp_path: Path
) -> None:
    await submit(connection, 1)
    asr.environment["ASR_STORE_URL"] = (tmp_path / "store").as_uri()
    old = tmp_path / "store" / "audio" / "0199-of-long-ago"
    old.parent.mkdir(parents=True)
    old.write_bytes(b"left by a task that nobody knows")
    os.utime(old, (0, 0))
    refused = asr("reconcile", "--sweep")
    assert refused.returncode == 1
    assert "--adopt-store" in refused.stderr
    counted = json.loads(asr("reconcile", "--adopt-store", "--sweep", "--dry-run", "--json").stdout)
    assert (counted["blobs"], counted["orphans"], counted["deleted"]) == (1, 1, 0)
    assert old.exists()
    assert json.loads(asr("reconcile", "--sweep", "--json").stdout)["deleted"] == 1
    assert not old.exists()


@pytest.mark.asyncio
async def test_a_sweep_takes_younger_orphans_where_a_person_says_so(
    asr: Any, connection: RedisConnection, tmp_path: Path
) -> None:
    asr.environment["ASR_STORE_URL"] = (tmp_path / "store").as_uri()
    assert json.loads(asr("reconcile", "--sweep", "--json").stdout)["blobs"] == 0
    (kept,) = await submit(connection, 1)
    audio = tmp_path / "store" / "audio"
    audio.mkdir()
    for name, age_seconds in {kept: 60, "young": 0, "an-hour-old": 3600}.items():
        (audio / name).write_bytes(b"audio")
        os.utime(audio / name, (time.time() - age_seconds,) * 2)
    assert json.loads(asr("reconcile", "--sweep", "--json").stdout)["deleted"] == 0
    swept = asr("reconcile", "--sweep", "--older-than", "30", "--json")
    assert json.loads(swept.stdout)["deleted"] == 1, swept.stderr
    assert {path.name for path in audio.iterdir()} == {kept, "young"}


def test_an_age_without_a_sweep_is_refused(asr: Any) -> None:
    refused = asr("reconcile", "--older-than", "30")
    assert refused.returncode == 2
    assert "go with --sweep" in refused.stderr
