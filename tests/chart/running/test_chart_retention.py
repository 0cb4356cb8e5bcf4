"""The CronJobs' own commands on 1,000 finished and 50 running tasks: just what the values say."""

from __future__ import annotations

import asyncio
import base64
import random
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import redis
import uuid_utils

from asr_core.queue import Consumer, Failure, Finish, Producer, RedisConnection, WorkerRecord
from asr_core.settings.queue import QueueSettings
from asr_core.settings.redis import RedisSettings
from asr_core.store import Store
from asr_core.task import NewTask, State, audio_path, result_path

pytestmark = pytest.mark.asyncio
DAY_SECONDS = 24 * 3600.0
# The number bites for the busy tenant, the age for the calm one.
MOST, RECORDING_DAYS, RESULT_DAYS = 60, 3, 7


@dataclass(frozen=True)
class Ended:
    """A task. `days` since it was submitted and ended."""

    state: State
    tenant: str
    days: float


@dataclass
class Filled:
    """A release's Redis and store with tasks in them; `ended` has the newest first."""

    running: Any
    connection: RedisConnection
    raw: redis.Redis
    store: Store
    folder: Path
    ended: dict[str, Ended]
    under_way: set[str]

    def recordings(self) -> set[str]:
        return {path.name for path in self.folder.glob("audio/*")}

    def results(self) -> set[str]:
        return {path.parent.name for path in self.folder.glob("results/*/*")}

    def records(self) -> set[str]:
        return {key.decode().removeprefix("asr:task:") for key in self.raw.keys("asr:task:*")}

    def run(self, job: str) -> str:
        template = dict(self.running.rendered.pods())[f"CronJob/asr-{job}"]
        told = self.running.run_to_end(f"asr-{job}", template)
        assert told.returncode == 0, told.stderr
        return str(told.stdout)


@pytest_asyncio.fixture
async def filled(release: Any) -> AsyncIterator[Filled]:
    limits = f"retention.recordings.max={MOST},retention.recordings.maxAgeDays={RECORDING_DAYS}"
    limits += ",retention.recordings.minAgeMinutes=0"
    running = release(limits, f"retention.results.maxAgeDays={RESULT_DAYS}")
    secret = running.rendered.find("Secret", "asr-redis")["data"]["password"]
    place: dict[str, Any] = {"REDIS_HOST": "127.0.0.1", "REDIS_PORT": running.ports["redis"]}
    place["REDIS_PASSWORD"] = base64.b64decode(secret).decode()
    connection = RedisConnection(RedisSettings(_env_file=None, **place))
    raw = redis.Redis(port=place["REDIS_PORT"], password=place["REDIS_PASSWORD"])
    folder = running.node.folder / "claims" / "asr-store"
    folder.mkdir(parents=True)
    store = Store.open(folder.as_uri())
    await store.ready()
    filled = Filled(running, connection, raw, store, folder, {}, set())
    await _fill(filled)
    yield filled
    raw.close()
    await connection.close()


async def _fill(filled: Filled) -> None:
    """Ages from minutes to twenty days, none near a limit; in no order of states."""
    chance = random.Random(5)
    states = [State.COMPLETED] * 700 + [State.CANCELLED] * 150 + [State.FAILED] * 150
    chance.shuffle(states)
    settings = QueueSettings(_env_file=None, tenant_window=2000)
    producer = Producer(filled.connection, settings)
    consumer = Consumer(filled.connection, settings, pool="default", name="worker-1")
    await consumer.prepare()
    await consumer.beat(_record(consumer))
    for number, state in enumerate(states):
        days = number * 0.02 + 0.001
        filled.ended[_id(days)] = Ended(state, "calm" if number % 5 == 0 else "busy", days)
    await asyncio.gather(*(_add(filled, producer, *each) for each in filled.ended.items()))
    claims = await _claim(consumer, sum(state is not State.CANCELLED for state in states))
    done, broken = [], []
    for claim in claims:
        task_id = claim.task.task_id
        if filled.ended[task_id].state is State.COMPLETED:
            path = result_path(task_id, claim.task.attempt)
            await filled.store.put(path, b"{}")
            done.append(Finish(task_id, claim.token, path, 0.1))
        else:
            broken.append(Failure(task_id, claim.token, "unreadable", "broken", True))
    await consumer.finish(done)
    await consumer.fail(broken)
    for number in range(50):
        days = 30.0 + number
        filled.under_way.add(task_id := _id(days))
        await _add(filled, producer, task_id, Ended(State.PROCESSING, "busy", days))
    assert {claim.task.task_id for claim in await _claim(consumer, 50)} == filled.under_way
    for task_id, ended in filled.ended.items():  # as if they had ended so long ago
        ended_ms = int((time.time() - ended.days * DAY_SECONDS) * 1000)
        filled.raw.hset(f"asr:task:{task_id}", "finished_at", ended_ms)


def _id(days: float) -> str:
    """Of a task that was submitted so long ago."""
    born_seconds = time.time() - days * DAY_SECONDS
    return str(uuid_utils.uuid7(nanoseconds=int(born_seconds * 1e9)))


async def _add(filled: Filled, producer: Producer, task_id: str, task: Ended) -> None:
    await filled.store.put(audio_path(task_id), b"abc")
    new = NewTask(task_id=task_id, bytes=3, duration_seconds=2.0, tenant=task.tenant)
    await producer.submit(new)
    if task.state is State.CANCELLED:
        await producer.cancel(task_id)


async def _claim(consumer: Consumer, count: int) -> list[Any]:
    claims: list[Any] = []
    while len(claims) < count:
        got = await consumer.claim(room_seconds=1e9, room_tasks=2000, in_flight=0)
        assert got, f"{len(claims)} of {count}"
        claims += got
    return claims


def _record(consumer: Consumer) -> WorkerRecord:
    return WorkerRecord(
        consumer=consumer.name, worker=consumer.worker, pool=consumer.pool, slots=4, busy=0,
        in_flight_seconds=0, throughput=0, startup_seconds=1, model="m", engine="e", device="cpu",
        version="0", tasks_done=0, started_at=0,
    )  # fmt: skip


async def test_the_jobs_delete_what_the_values_say_and_nothing_of_a_running_task(
    filled: Filled,
) -> None:
    ended, under_way = filled.ended, filled.under_way
    failed = {task_id for task_id, each in ended.items() if each.state is State.FAILED}
    kept = set(failed)
    for tenant in ("busy", "calm"):
        own = [t for t, each in ended.items() if each.tenant == tenant and t not in failed]
        kept |= {task_id for task_id in own[:MOST] if ended[task_id].days < RECORDING_DAYS}
    assert len(failed) + MOST < len(kept) < len(failed) + 2 * MOST

    told = filled.run("recordings")
    assert filled.recordings() == kept | under_way
    assert f"deleted {len(ended) - len(kept)} recordings" in told
    assert "and 0 records" in told
    assert filled.records() == set(ended) | under_way

    young = {task_id for task_id, each in ended.items() if each.days < RESULT_DAYS}
    told = filled.run("results")
    assert filled.records() == young | under_way
    assert filled.recordings() == (kept & young) | under_way
    assert filled.results() == {t for t in young if ended[t].state is State.COMPLETED}
    assert f"{len(ended) - len(young)} records" in told
    assert "0 errors" in told
    assert "deleted 0 recordings" in filled.run("recordings")
