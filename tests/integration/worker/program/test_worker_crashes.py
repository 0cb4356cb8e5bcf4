"""Workers that die or stand still at the worst moment: one visible result, and nothing is lost."""

from __future__ import annotations

import asyncio
import signal
import time
from typing import Any

import pytest

from asr_core.lifecycle.orphan_sweep import Sweep
from asr_core.queue.orphan_index import OrphanIndex
from asr_core.task import State
from chaos.proxy import FaultProxy

pytestmark = pytest.mark.asyncio
FINISH = b'"processing_ms"'


async def test_a_worker_killed_between_result_and_finish_leaves_an_orphan_that_is_swept(
    platform: Any, level: Any
) -> None:
    sweep = Sweep(OrphanIndex(platform.connection), platform.store)
    await sweep.mark()
    async with FaultProxy(platform.redis_settings.port) as proxy:
        finish = proxy.stop_request(FINISH)
        task_id = await platform.submit(level(0.5))
        first = platform.toy(REDIS_PORT=proxy.port)
        await asyncio.wait_for(finish.caught.wait(), 30)
        first.kill()
        finish.cut()
    assert len(await platform.results(task_id)) == 1
    platform.toy()
    result = await platform.done(task_id)
    task = await platform.producer.get(task_id)
    assert (task.attempt, task.crashes) == (2, 1)
    assert len(await platform.results(task_id)) == 2
    swept = await sweep.run(min_age_seconds=0.0)
    assert swept.deleted == 1
    assert await platform.results(task_id) == [task.result]
    assert await platform.done(task_id) == result


async def test_the_finish_of_a_worker_that_was_stopped_past_its_lease_is_fenced(
    platform: Any, level: Any
) -> None:
    async with FaultProxy(platform.redis_settings.port) as proxy:
        finish = proxy.stop_request(FINISH)
        task_id = await platform.submit(level(0.5))
        # It waits for Redis's reply however long, and is not so slow to notice anything.
        first = platform.toy(REDIS_PORT=proxy.port, timeout_seconds=60.0)
        await asyncio.wait_for(finish.caught.wait(), 30)
        first.send_signal(signal.SIGSTOP)
        platform.toy(worker_name="second")
        result = await platform.done(task_id)
        finish.release()
        first.send_signal(signal.SIGCONT)
        await first.said("result refused")
        first.terminate()
        assert await first.ended() == 0
    task = await platform.producer.get(task_id)
    assert (task.attempt, task.worker) == (2, "second")
    assert await platform.results(task_id) == [task.result]
    assert await platform.done(task_id) == result


async def test_a_batch_that_loses_its_node_three_times_over_completes(
    platform: Any, level: Any
) -> None:
    ids = [await platform.submit(level(0.5)) for _ in range(8)]
    quick = {"faults": {"0.5": "gate"}, "lease_seconds": 1.0}
    # After two losses each of them runs alone.
    for name, in_hand in (("node-0", 8), ("node-1", 8), ("node-2", 1)):
        node = platform.toy(worker_name=name, **quick)
        with platform.raw() as raw:
            async with asyncio.timeout(30):
                while [raw.hget(f"asr:task:{i}", "worker") for i in ids].count(name) < in_hand:
                    await asyncio.sleep(0.02)
        node.kill()
        await node.ended()
    (platform.folder / "gate").touch()
    platform.toy(**quick)
    for task_id in ids:
        await platform.done(task_id)
    tasks = [await platform.producer.get(task_id) for task_id in ids]
    assert min(task.crashes for task in tasks) >= 2
    assert max(task.crashes for task in tasks) >= 3
    assert max(task.solo_crashes for task in tasks) < 3
    with platform.raw() as raw:
        assert raw.xlen("asr_tasks:dead") == 0


async def test_the_clock_of_a_worker_means_nothing_to_leases_and_records(
    platform: Any, level: Any
) -> None:
    toy = {"faults": {"0.5": "gate"}, "max_tasks_in_hand": 1, "lease_seconds": 3.0}
    ids = []
    for name, hours in (("slow", -1), ("fast", 1)):
        ids.append(await platform.submit(level(0.5)))
        platform.toy(clock=3600.0 * hours, worker_name=name, **toy)
        await platform.until(ids[-1], State.PROCESSING)
    platform.toy(worker_name="right", **toy)
    await platform.done(await platform.submit(level(0.3)))
    # Past their first leases: they are renewed, and nobody takes what is another's.
    with platform.raw() as raw:
        first = dict(raw.zrange("asr:leases:default:normal", 0, -1, withscores=True))
        assert set(first) == set(ids)
        async with asyncio.timeout(30):
            while time.time() * 1000 <= max(first.values()):
                await asyncio.sleep(0.02)
    (platform.folder / "gate").touch()
    for task_id in ids:
        await platform.done(task_id)
        task = await platform.producer.get(task_id)
        assert (task.attempt, task.crashes) == (1, 0)
        for moment in (task.queued_at, task.started_at, task.finished_at):
            assert abs(moment - time.time()) < 60
        assert 0 <= task.started_at - task.queued_at < 60
