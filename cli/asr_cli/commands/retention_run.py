"""Passes of retention on a Redis and its store."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict

from asr_cli.local.running_platform import Place
from asr_core.errors import AsrError
from asr_core.lifecycle.retention import Retained, Retention
from asr_core.process.logs import business_event, get_logger
from asr_core.queue import OrphanIndex, RedisConnection
from asr_core.queue.retention_index import RetentionIndex
from asr_core.retention_policy import RetentionPolicy
from asr_core.store import Store

# Shorter than the period, so that one program alone always gets its own next turn.
_TURN_SHARE = 0.9
_REST_SHARE = 9.0

_log = get_logger("asr_cli.retention")


async def one_pass(
    place: Place, policy: RetentionPolicy, *, dry_run: bool, log_event: bool = False
) -> Retained:
    """What it did. Raises QueueUnavailable, SchemaMismatch, StoreUnavailable, RetentionRefused."""
    async with _opened(place, policy) as (_, retention):
        retained = await retention.run(dry_run=dry_run)
    if log_event and not dry_run:
        _tell(retained)
    return retained


async def keep_deleting(place: Place, policy: RetentionPolicy, every_seconds: float) -> None:
    """Until SIGTERM or SIGINT, through outages of Redis and store. Of several programs that do the
    same one at a time gets the turn.
    """
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    async with _opened(place, policy) as (keeping, retention):
        passes = asyncio.create_task(_repeat(keeping, retention, every_seconds))
        stopping = asyncio.create_task(stopped.wait())
        await asyncio.wait({passes, stopping}, return_when=asyncio.FIRST_COMPLETED)
        # A pass may break off anywhere.
        passes.cancel()
        with suppress(asyncio.CancelledError):
            await passes


async def _repeat(keeping: RetentionIndex, retention: Retention, every_seconds: float) -> None:
    failing = False
    while True:
        began = time.monotonic()
        try:
            problem = await _in_turn(keeping, retention, every_seconds)
        except AsrError as error:
            problem = error.message
        except Exception as error:
            problem = repr(error)
            if not failing:
                _log.exception("retention_broken")
        if problem and not failing:
            _log.warning("retention_failed", reason=problem)
        elif failing and not problem:
            _log.info("retention_recovered")
        failing = bool(problem)
        # In a huge store a pass takes long: it shall not take all of Redis's time.
        took_seconds = time.monotonic() - began
        await asyncio.sleep(max(every_seconds - took_seconds, _REST_SHARE * took_seconds))


async def _in_turn(keeping: RetentionIndex, retention: Retention, every_seconds: float) -> str:
    """What went wrong, if anything."""
    if not await keeping.try_lock(_TURN_SHARE * every_seconds):
        return ""
    retained = await retention.run()
    _tell(retained)
    return retained.problem


def _tell(retained: Retained) -> None:
    if retained.did_something:
        business_event("retention_pass", **asdict(retained))


@asynccontextmanager
async def _opened(
    place: Place, policy: RetentionPolicy
) -> AsyncIterator[tuple[RetentionIndex, Retention]]:
    connection = RedisConnection(place.redis)
    try:
        keeping = RetentionIndex(connection)
        store = Store.open(place.store_url)
        yield keeping, Retention(keeping, OrphanIndex(connection), store, policy)
    finally:
        await connection.close()
