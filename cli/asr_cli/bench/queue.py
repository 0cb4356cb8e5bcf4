"""What scripts and Redis allow: tasks through the queue alone, without HTTP, store or model."""

from __future__ import annotations

import asyncio
import time

import uuid_utils

from asr_cli.bench.platform import BenchPlatform
from asr_cli.bench.report import Finding, Series
from asr_core.queue import Consumer, Finish, Producer, RedisConnection, WorkerRecord
from asr_core.task import NewTask

_AT_ONCE = 50


async def measure(tasks: int, rounds: int) -> Finding:
    """Submits a second, and claims with their finishes; each is on disk before its reply."""
    submits, finishes = Series("submit"), Series("claim and finish")
    with BenchPlatform(threads=1) as platform:
        for number in range(rounds):
            connection = RedisConnection(platform.redis_settings)
            producer = Producer(connection, platform.queue_settings)
            consumer = Consumer(
                connection, platform.queue_settings, pool="default", name=f"bench-{number}"
            )
            await producer.prepare()
            await consumer.beat(_record(consumer))
            submits.rounds.append(tasks / await _submitted(producer, tasks))
            finishes.rounds.append(tasks / await _finished(consumer, tasks))
            await consumer.leave()
            await connection.close()
    return Finding(
        title="Queue alone",
        command="asr bench queue",
        conditions={"tasks a round": tasks, "appendfsync": "always"},
        unit="tasks a second",
        series=[submits, finishes],
    )


async def _submitted(producer: Producer, tasks: int) -> float:
    began = time.perf_counter()
    for first in range(0, tasks, _AT_ONCE):
        new = (
            NewTask(task_id=str(uuid_utils.uuid7()), bytes=1, duration_seconds=1)
            for _ in range(min(_AT_ONCE, tasks - first))
        )
        await asyncio.gather(*(producer.submit(task) for task in new))
    return time.perf_counter() - began


async def _finished(consumer: Consumer, tasks: int) -> float:
    began, done = time.perf_counter(), 0
    while done < tasks:
        claims = await consumer.claim(room_seconds=1e6, room_tasks=64, in_flight=0)
        finishes = [Finish(each.task.task_id, each.token, "none", 0.0) for each in claims]
        done += len(await consumer.finish(finishes))
    return time.perf_counter() - began


def _record(consumer: Consumer) -> WorkerRecord:
    return WorkerRecord(
        consumer=consumer.name, worker="bench", pool="default", slots=1, busy=0,
        in_flight_seconds=0, throughput=0, startup_seconds=0, model="", engine="", device="",
        version="", tasks_done=0, started_at=time.time(),
    )  # fmt: skip
