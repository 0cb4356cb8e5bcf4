"""Repeats requests to a model server, and tells apart whether the server or a segment is at fault.

No task pays for a server that is away: its requests are repeated for a minute, then its task is
released with its attempt refunded, and the worker claims nothing until the server transcribes
again. Knows no HTTP; lives on the event loop of `asr_worker.engines.remote`.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

from asr_core.backoff import backoff_seconds
from asr_core.errors import EngineFailed
from asr_core.process.logs import get_logger
from asr_worker.engines.base import SegmentText
from asr_worker.engines.remote_wire import Failure, Kind
from asr_worker.errors import ModelNotLoaded, ModelServerAway, ModelServerRefused

PATIENCE_SECONDS: Final = 60.0
MOST_FAILURES: Final = 3  # of one segment, before it or the server is to blame
PING_SECONDS: Final = 15.0
LONGEST_PAUSE_SECONDS: Final = 30.0
_log = get_logger(__name__)

Attempt = Callable[[], Awaitable[SegmentText | Failure]]
Ping = Callable[[], Awaitable[object | Failure]]


async def at_start(ask: Attempt) -> SegmentText:
    """The first text of a server, which may still be loading its model: waits however long.

    Raises ModelNotLoaded for what waiting does not mend.
    """
    broken = 0
    for tries in itertools.count():
        result = await ask()
        if not isinstance(result, Failure):
            return result
        broken = broken + 1 if result.kind is Kind.FAILED else 0
        if result.kind in (Kind.MISCONFIGURED, Kind.REFUSED) or broken == MOST_FAILURES:
            raise ModelNotLoaded(f"the model server cannot be used: {result.reason}")
        _log.warning("waiting for the model server", reason=result.reason, tries=tries + 1)
        await asyncio.sleep(_pause_seconds(tries, result))
    raise AssertionError("counts for ever")


class ServerHealth:
    """`probe` transcribes a known clip; `problem` is why the server cannot be used, or empty."""

    def __init__(self, probe: Attempt) -> None:
        self._probe = probe
        self._probing = asyncio.Lock()
        self._is_down = asyncio.Event()
        self._down_since: float | None = None
        self._answered_at = time.monotonic()
        self._resume_at = 0.0
        self.problem = ""

    async def persist(self, attempt: Attempt) -> SegmentText:
        """The text of a segment, after as many attempts as it takes.

        Raises ModelServerRefused, EngineFailed where the server can transcribe other audio, and
        ModelServerAway where it cannot.
        """
        since, failures = time.monotonic(), 0
        for tries in itertools.count():
            await asyncio.sleep(max(0.0, self._resume_at - time.monotonic()))
            asked_at = time.monotonic()
            result = await attempt()
            if not isinstance(result, Failure):
                self.answered()
                return result
            _log.debug("no text", kind=result.kind, reason=result.reason, tries=tries + 1)
            if result.kind is Kind.REFUSED:
                await self._blame_segment(result, asked_at)
                raise ModelServerRefused(
                    "the model server takes this audio or its options for invalid"
                )
            if result.kind is Kind.FAILED:
                failures += 1
                if failures == MOST_FAILURES:
                    await self._blame_segment(result, asked_at)
                    raise EngineFailed("the model server failed on this audio")
            else:
                self._wait_for(result, since)
            await asyncio.sleep(_pause_seconds(tries, result))
        raise AssertionError("counts for ever")

    async def watch(self, ping: Ping) -> None:
        """Looks after the server forever: often while it is away, and now and then while idle."""
        failures = 0
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._is_down.wait(), PING_SECONDS)
            try:
                if not self._is_down.is_set():
                    await self._ping_if_idle(ping)
                    continue
                await asyncio.sleep(backoff_seconds(failures, first=0.5, most=10.0))
                failures = 0 if await self._is_back() else failures + 1
            except Exception:
                # Whatever it is: without this loop a worker would claim nothing for ever.
                _log.exception("the model server was not looked after")
                failures += 1

    def answered(self) -> None:
        """The server has transcribed something."""
        self._answered_at = time.monotonic()
        if self._is_down.is_set():
            _log.info("the model server answers again", seconds=self._seconds_down())
        self._is_down.clear()
        self._down_since, self.problem = None, ""

    def _wait_for(self, failure: Failure, since: float) -> None:
        """Raises ModelServerAway once patience is exhausted."""
        now = time.monotonic()
        if failure.kind is Kind.BUSY:
            pause = min(failure.retry_after_seconds or 0.0, LONGEST_PAUSE_SECONDS)
            self._resume_at = max(self._resume_at, now + pause)
        else:
            self._found_down(failure)
        if now - min(since, self._down_since or since) > PATIENCE_SECONDS:
            self._found_down(failure)
            raise ModelServerAway(f"the model server cannot be used: {failure.reason}")

    async def _blame_segment(self, failure: Failure, asked_at: float) -> None:
        """Returns if the server transcribes other audio. Raises ModelServerAway."""
        _log.warning("segment not transcribed", kind=failure.kind, reason=failure.reason)
        if wrong := await self._check(asked_at):
            self._found_down(wrong)
            raise ModelServerAway(f"the model server cannot be used: {wrong.reason}")

    async def _check(self, asked_at: float) -> Failure | None:
        """What a probe fails with; none is sent if the server has answered since `asked_at`."""
        async with self._probing:
            if self._answered_at > asked_at:
                return None
            result = await self._probe()
            if isinstance(result, Failure):
                return result
            self.answered()
            return None

    async def _is_back(self) -> bool:
        if not self._is_down.is_set():
            return True
        if failure := await self._check(time.monotonic()):
            self._found_down(failure)
        return failure is None

    async def _ping_if_idle(self, ping: Ping) -> None:
        if time.monotonic() - self._answered_at < PING_SECONDS:
            return
        result = await ping()
        if isinstance(result, Failure) and result.kind is not Kind.BUSY:
            self._found_down(result)

    def _found_down(self, failure: Failure) -> None:
        if not self._is_down.is_set():
            self._down_since = time.monotonic()
            _log.warning("the model server cannot be used", reason=failure.reason)
        self.problem = f"the model server cannot be used: {failure.reason}"
        self._is_down.set()

    def _seconds_down(self) -> float:
        now = time.monotonic()
        return round(now - (self._down_since or now), 1)


def _pause_seconds(tries: int, failure: Failure) -> float:
    """Grows, and differs between requests that failed together."""
    pause = backoff_seconds(tries, first=0.2, most=5.0) * random.uniform(0.5, 1.0)
    return max(pause, min(failure.retry_after_seconds or 0.0, LONGEST_PAUSE_SECONDS))
