"""Whoever reads slowly, or never: submitting, claiming and finishing do not notice."""

import asyncio
import socket
import time
from typing import Any

import pytest

pytestmark = pytest.mark.asyncio

OUTBOX_LIMIT = 100_000


async def work(queue: Any, tasks: int, **fields: Any) -> float:
    """Seconds that so many tasks took from submit to finish."""
    consumer = await queue.consumer()
    began = time.monotonic()
    await queue.submit(tasks, **fields)
    while claims := await queue.claim(consumer):
        await queue.finish(consumer, *claims)
    return time.monotonic() - began


async def test_an_outbox_that_nobody_reads_is_bounded_and_what_falls_out_is_counted(
    queue: Any,
) -> None:
    alone = await work(queue, 100)
    fill = "for i = 1, ARGV[1] do redis.call('XADD', KEYS[1], '*', 'url', ARGV[2]) end"
    queue.raw.eval(fill, 1, "asr:outbox", OUTBOX_LIMIT - 40, "u" * 120)
    full = await work(queue, 100, webhook="https://example.com/hook")
    assert queue.raw.xlen("asr:outbox") == OUTBOX_LIMIT
    assert queue.raw.hget("asr:totals", "webhooks_dropped") == "60"
    assert (await queue.reader.totals()).completed == 200
    assert queue.raw.memory_usage("asr:outbox") < 32 * 1024**2
    assert full < 3 * alone + 1


async def test_a_subscriber_that_never_reads_is_dropped_and_slows_nothing(
    private_redis: Any, queue_on: Any
) -> None:
    """Redis drops one at 32 MB by default; here at 64 KB, so that a test gets there."""
    server = private_redis("--client-output-buffer-limit", "pubsub 65536 65536 1")
    queue = await queue_on(server.settings())
    alone = await work(queue, 300)
    with socket.socket() as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.connect(("127.0.0.1", server.port))
        deaf.sendall(b"AUTH admin any\r\nPSUBSCRIBE *\r\n")
        async with asyncio.timeout(10):
            while queue.raw.pubsub_numpat() != 1:
                await asyncio.sleep(0.01)
        before = queue.raw.info("memory")["used_memory"]
        shouting = queue.raw.pipeline(transaction=False)
        for _ in range(20_000):
            shouting.publish("asr:changed:x", "processing 0.5" * 20)
        shouting.execute()
        beside = await work(queue, 300)
        assert queue.raw.info("memory")["used_memory"] - before < 8 * 1024**2
        assert queue.raw.pubsub_numpat() == 0
    assert (await queue.reader.totals()).completed == 600
    assert beside < 3 * alone + 1


async def test_a_reader_of_pages_that_never_reads_them_slows_nothing(queue: Any) -> None:
    await queue.submit(300, filename="n" * 255)
    alone = await work(queue, 100)
    deaf = []
    for _ in range(20):
        reader = socket.create_connection(("127.0.0.1", queue.redis_settings.port))
        for task_id in queue.raw.zrange("asr:history:default", 0, -1):
            reader.sendall(f"HGETALL asr:task:{task_id}\r\n".encode())
        deaf.append(reader)
    beside = await work(queue, 100)
    for reader in deaf:
        reader.close()
    assert (await queue.reader.totals()).completed == 500
    assert beside < 3 * alone + 1
