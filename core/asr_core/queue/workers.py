"""Workers' records: who is alive, how busy, how fast."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from asr_core.queue.connection import RedisConnection, redis_errors

RECORD_TTL_MS = 30_000


@dataclass(frozen=True)
class WorkerRecord:
    """One worker process, as it writes it every ten seconds.

    `throughput` is audio-seconds per second, measured; 0 while nothing has been measured.
    """

    consumer: str
    worker: str
    pool: str
    slots: int
    busy: int
    in_flight_seconds: float
    throughput: float
    startup_seconds: float
    model: str
    engine: str
    device: str
    version: str
    tasks_done: int
    started_at: float
    cordoned: bool = False


def _read(text: Mapping[str, str]) -> WorkerRecord:
    values: dict[str, Any] = {"cordoned": text.get("cordoned") == "1"}
    for field in fields(WorkerRecord):
        if field.name != "cordoned":
            convert = {"int": int, "float": float}.get(str(field.type), str)
            values[field.name] = convert(text.get(field.name) or 0)
    return WorkerRecord(**values)


async def beat(connection: RedisConnection, record: WorkerRecord) -> bool:
    """Writes a record that lives 30 s. Returns whether the worker has been cordoned."""
    values = {name: str(value) for name, value in asdict(record).items() if name != "cordoned"}
    cordoned = await connection.call(
        "beat", consumer=record.consumer, pool=record.pool, record=values, ttl_ms=RECORD_TTL_MS
    )
    return bool(cordoned)


async def leave(connection: RedisConnection, pool: str, consumer: str) -> None:
    """Removes a record at a clean stop. No transaction: a full Redis refuses every one."""
    with redis_errors():
        async with connection.client.pipeline(transaction=False) as pipe:
            pipe.delete(connection.keys.worker(consumer))
            pipe.zrem(connection.keys.workers(pool), consumer)
            await pipe.execute()


async def cordon(connection: RedisConnection, consumers: list[str], *, cordoned: bool) -> int:
    """A cordoned worker finishes what it has and claims nothing. Returns how many were alive."""
    return int(await connection.call("cordon", consumers=consumers, cordoned=cordoned))


async def list_workers(connection: RedisConnection, pool: str) -> list[WorkerRecord]:
    """The live workers of a pool, by consumer name."""
    with redis_errors():
        names = await connection.client.zrange(connection.keys.workers(pool), 0, -1)
        if not names:
            return []
        async with connection.client.pipeline(transaction=False) as pipe:
            for name in names:
                pipe.hgetall(connection.keys.worker(name))
            hashes: list[dict[str, str]] = await pipe.execute()
    return sorted(
        (_read(text) for text in hashes if text.get("consumer")), key=lambda w: w.consumer
    )
