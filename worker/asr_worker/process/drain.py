"""Drain at shutdown: finishes what fits in the grace period and releases the rest at once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from contextlib import suppress

from asr_core.process.logs import get_logger
from asr_worker.attempts.pipeline import Pipeline
from asr_worker.in_flight.capacity import Throughput, Unfinished, fits
from asr_worker.in_flight.tasks import InFlightTask, InFlightTasks

# Redis may be slow or unavailable at shutdown; unreported leases simply expire.
REPORT_SECONDS = 5.0
_log = get_logger(__name__)


async def drain(pipeline: Pipeline, throughput: Throughput, *, grace_seconds: float) -> None:
    """Finishes or releases all tasks, at most `REPORT_SECONDS` after the grace period."""
    in_flight = pipeline.in_flight
    grace_ends_at = time.monotonic() + grace_seconds
    ends_at = grace_ends_at + REPORT_SECONDS
    working = [task for task in in_flight if not task.reporting]
    kept = fits(
        [Unfinished(task.key, task.left_seconds) for task in working],
        throughput=throughput.audio_seconds_per_second,
        grace_seconds=grace_seconds,
    )
    _log.info("draining", tasks=len(in_flight), kept=len(kept), grace_seconds=grace_seconds)
    await _release(pipeline, (task for task in working if task.key not in kept), ends_at)
    await _until_empty(in_flight, grace_ends_at)
    await _release(pipeline, (task for task in in_flight if not task.reporting), ends_at)
    await _until_empty(in_flight, time.monotonic() + min(REPORT_SECONDS / 2, grace_seconds))
    await _release(pipeline, in_flight, ends_at)
    with suppress(TimeoutError):
        await asyncio.wait_for(pipeline.reports.delivered(), max(0.0, ends_at - time.monotonic()))


async def _release(pipeline: Pipeline, tasks: Iterable[InFlightTask], ends_at: float) -> None:
    seconds = min(REPORT_SECONDS, max(0.0, ends_at - time.monotonic()))
    try:
        await asyncio.wait_for(pipeline.release(tasks), seconds)
    except TimeoutError:
        _log.error("not released: Redis does not answer, the leases will expire")


async def _until_empty(in_flight: InFlightTasks, deadline: float) -> None:
    while len(in_flight) and (left := deadline - time.monotonic()) > 0:
        in_flight.changed.clear()
        with suppress(TimeoutError):
            await asyncio.wait_for(in_flight.changed.wait(), left)
