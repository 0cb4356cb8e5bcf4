"""A network that fails between a worker and Redis: nothing twice, nothing lost; it comes back."""

from __future__ import annotations

import asyncio
import hashlib
import time
from typing import Any

import pytest

from asr_core.keys import Keys
from asr_core.queue.scripts import script_text
from asr_core.task import State
from chaos.proxy import FaultProxy

pytestmark = pytest.mark.asyncio
FINISH = b'"processing_ms"'
CLAIM = hashlib.sha1(script_text("claim", Keys("")).encode()).hexdigest().encode()
# Only what a test does to the network makes anybody lose a lease.
CALM = {"lease_seconds": 60.0}


async def test_a_claim_whose_reply_was_lost_is_recovered_and_not_an_attempt_more(
    platform: Any, level: Any
) -> None:
    async with FaultProxy(platform.redis_settings.port) as proxy:
        worker = platform.toy(REDIS_PORT=proxy.port, **CALM)
        await worker.said("engine ready")
        await platform.done(await platform.submit(level(0.3)))
        # While one claim is held nothing else is claimed: the next one takes the task.
        empty = proxy.stop_reply(CLAIM)
        await asyncio.wait_for(empty.caught.wait(), 20)
        task_id = await platform.submit(level(0.4))
        lost = proxy.stop_reply(CLAIM)
        empty.release()
        await asyncio.wait_for(lost.caught.wait(), 20)
        assert (await platform.producer.get(task_id)).state is State.PROCESSING
        lost.cut()
        await worker.said("recovered")
        await platform.done(task_id)
    task = await platform.producer.get(task_id)
    assert (task.attempt, task.crashes, task.transient_failures) == (1, 0, 0)


async def test_a_finish_whose_reply_was_lost_is_told_again_and_counts_once(
    platform: Any, level: Any
) -> None:
    async with FaultProxy(platform.redis_settings.port) as proxy:
        worker = platform.toy(REDIS_PORT=proxy.port, **CALM)
        await platform.done(await platform.submit(level(0.3)))
        finish = proxy.stop_reply(FINISH)
        task_id = await platform.submit(level(0.4))
        await asyncio.wait_for(finish.caught.wait(), 30)
        result = await platform.done(task_id)
        finish.cut()
        await worker.said("report not delivered")
        await worker.said("task_completed", times=2)
        assert "result refused" not in worker.log.read_text()
    task = await platform.producer.get(task_id)
    assert task.attempt == 1
    assert await platform.results(task_id) == [task.result]
    assert await platform.done(task_id) == result
    with platform.raw() as raw:
        assert int(raw.hget("asr:totals", "completed")) == 2


async def test_connections_that_break_are_made_again_and_so_is_the_subscription(
    platform: Any, level: Any
) -> None:
    gate = platform.folder / "gate"
    async with FaultProxy(platform.redis_settings.port) as proxy:
        platform.toy(faults={"0.5": "gate"}, gate=gate, REDIS_PORT=proxy.port, **CALM)
        running = await platform.submit(level(0.5))
        await platform.until(running, State.PROCESSING)
        await _listening(platform, 1)
        for _ in range(3):
            proxy.cut()
            await _listening(platform, 0)
            await _listening(platform, 1)
        gate.touch()
        await platform.done(running)
        await platform.done(await platform.submit(level(0.3)))
    task = await platform.producer.get(running)
    assert (task.attempt, task.crashes) == (1, 0)


async def test_a_partitioned_worker_stops_by_itself_and_rejoins_with_its_late_result_fenced(
    platform: Any, level: Any
) -> None:
    lease_seconds = platform.settings().lease_seconds
    gate = platform.folder / "gate"
    async with FaultProxy(platform.redis_settings.port) as proxy:
        # One task of the far worker is about to be finished, the other one is at the engine.
        finish = proxy.stop_request(FINISH)
        far = platform.toy(
            faults={"0.5": "gate"},
            gate=gate,
            REDIS_PORT=proxy.port,
            REDIS_TIMEOUT_SECONDS=120.0,
            worker_name="far",
        )
        late = await platform.submit(level(0.3))
        await asyncio.wait_for(finish.caught.wait(), 30)
        running = await platform.submit(level(0.5))
        await platform.until(running, State.PROCESSING)

        proxy.swallowing = True
        cut_at = time.monotonic()
        await far.said("leases not renewed for a whole lease")
        await far.said("task lost")
        assert time.monotonic() - cut_at < lease_seconds + 10
        near = platform.toy(worker_name="near")
        results = [await platform.done(late), await platform.done(running)]
        near.terminate()
        assert await near.ended() == 0

        gate.touch()
        proxy.swallowing = False
        finish.release()
        await far.said("result refused")
        proxy.cut()
        rejoined = await platform.submit(level(0.4))
        await platform.done(rejoined)
    assert (await platform.producer.get(rejoined)).worker == "far"
    for task_id, result in zip((late, running), results, strict=True):
        task = await platform.producer.get(task_id)
        assert (task.attempt, task.worker) == (2, "near")
        assert await platform.results(task_id) == [task.result]
        assert await platform.done(task_id) == result


async def test_a_worker_that_was_cut_off_for_a_moment_goes_on_with_what_is_still_its_own(
    platform: Any, level: Any
) -> None:
    """Nobody else is there to take the task: it is taken up again, and completes once."""
    async with FaultProxy(platform.redis_settings.port) as proxy:
        worker = platform.toy(
            REDIS_PORT=proxy.port, REDIS_TIMEOUT_SECONDS=0.5, lease_seconds=1.0, batch_seconds=0.3
        )
        task_id = await platform.submit(level(0.4, seconds=600.0))
        await platform.progressing(task_id)
        proxy.swallowing = True
        await worker.said("task lost")
        proxy.swallowing = False
        proxy.cut()
        await platform.done(task_id)
    task = await platform.producer.get(task_id)
    assert await platform.swept_results(task_id) == [task.result]


async def _listening(platform: Any, count: int) -> None:
    with platform.raw() as raw:
        async with asyncio.timeout(20):
            while dict(raw.pubsub_numsub("asr:wake:default"))["asr:wake:default"] != count:
                await asyncio.sleep(0.01)
