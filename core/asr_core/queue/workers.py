"""Worker records: liveness, load and throughput."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from asr_core.queue.connection import RedisConnection, redis_errors
from asr_core.queue.models import ServedModel

RECORD_TTL_MS = 30_000


@dataclass(frozen=True)
class WorkerRecord:
    """One worker process, as it writes it every ten seconds.

    `throughput` is audio-seconds per second, measured; 0 while nothing has been measured. Of the
    machine's use, 100 % of CPU is one processor, and GPU memory is that of the whole device; None
    is not known, as from an older release. `problem`, in words: why it takes no work.
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
    cpu_percent: float | None = None
    memory_bytes: int | None = None
    gpu_percent: float | None = None
    gpu_memory_bytes: int | None = None
    gpu_memory_total_bytes: int | None = None
    problem: str | None = None


def _read(text: Mapping[str, str]) -> WorkerRecord:
    values: dict[str, Any] = {"cordoned": text.get("cordoned") == "1"}
    for field in fields(WorkerRecord):
        if field.name != "cordoned":
            type_name, _, optional = str(field.type).partition(" | ")
            convert = {"int": int, "float": float}.get(type_name, str)
            value = text.get(field.name)
            values[field.name] = None if optional and not value else convert(value or 0)
    return WorkerRecord(**values)


async def beat(
    connection: RedisConnection, record: WorkerRecord, serves: ServedModel | None = None
) -> bool:
    """Writes a record that lives 30 s. Returns whether the worker has been cordoned."""
    values = {
        name: "" if value is None else str(value)
        for name, value in asdict(record).items()
        if name != "cordoned"
    }
    cordoned = await connection.call(
        "beat",
        consumer=record.consumer,
        pool=record.pool,
        record=values,
        ttl_ms=RECORD_TTL_MS,
        **({"serves": serves.text()} if serves else {}),
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
    """Cordon or uncordon: a cordoned worker finishes its tasks and claims none. Returns how many
    were alive.
    """
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
