"""The end of a worker: finishes what fits in the grace period and hands the rest back at once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from contextlib import suppress

from asr_core.process.logs import get_logger
from asr_worker.attempts.pipeline import Pipeline
from asr_worker.in_flight.capacity import Throughput, Unfinished, fits
from asr_worker.in_flight.tasks import InFlightTask, InFlightTasks

# Redis may be slow or away at the end; leases run out without us.
LAST_WORD_SECONDS = 5.0
_log = get_logger(__name__)


async def drain(pipeline: Pipeline, throughput: Throughput, *, grace_seconds: float) -> None:
    """Empties the hand; takes five seconds more than the grace period at the most."""
    hand = pipeline.hand
    grace_ends_at = time.monotonic() + grace_seconds
    ends_at = grace_ends_at + LAST_WORD_SECONDS
    working = [task for task in hand if not task.reporting]
    kept = fits(
        [Unfinished(task.key, task.left_seconds) for task in working],
        throughput=throughput.audio_seconds_per_second,
        grace_seconds=grace_seconds,
    )
    _log.info("draining", tasks=len(hand), kept=len(kept), grace_seconds=grace_seconds)
    await _give_back(pipeline, (task for task in working if task.key not in kept), ends_at)
    await _until_empty(hand, grace_ends_at)
    await _give_back(pipeline, (task for task in hand if not task.reporting), ends_at)
    await _until_empty(hand, time.monotonic() + min(LAST_WORD_SECONDS / 2, grace_seconds))
    await _give_back(pipeline, hand, ends_at)
    with suppress(TimeoutError):
        await asyncio.wait_for(pipeline.reports.delivered(), max(0.0, ends_at - time.monotonic()))


async def _give_back(pipeline: Pipeline, tasks: Iterable[InFlightTask], ends_at: float) -> None:
    seconds = min(LAST_WORD_SECONDS, max(0.0, ends_at - time.monotonic()))
    try:
        await asyncio.wait_for(pipeline.hand_back(tasks), seconds)
    except TimeoutError:
        _log.error("not handed back: Redis does not answer, the leases will run out")


async def _until_empty(hand: InFlightTasks, deadline: float) -> None:
    while len(hand) and (left := deadline - time.monotonic()) > 0:
        hand.changed.clear()
        with suppress(TimeoutError):
            await asyncio.wait_for(hand.changed.wait(), left)
