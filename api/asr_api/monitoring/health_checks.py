"""Dependency health checks with a deadline, deduplicated while one is running."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from asr_core.errors import AsrError
from asr_core.queue import Backlog, Eviction, OrphanedBlobs, WorkerRecord

T = TypeVar("T")


@dataclass(frozen=True)
class CheckResult(Generic[T]):
    """`message` is empty on success; only then there is a `value`."""

    value: T | None
    message: str
    seconds: float

    @property
    def ok(self) -> bool:
        return not self.message


class Check(Generic[T]):
    """One call to one dependency, shared by concurrent callers.

    A call past its deadline is left to its own timeout: cancelling it could leave its reply to the
    next user of the connection.
    """

    def __init__(self, ask: Callable[[], Coroutine[Any, Any, T]]) -> None:
        self._ask = ask
        self._running: asyncio.Task[T] | None = None

    async def result(self, timeout_seconds: float) -> CheckResult[T]:
        """The result within `timeout_seconds`; never raises."""
        began = time.monotonic()
        if self._running is None or self._running.done():
            self._running = asyncio.create_task(self._ask())
        running = self._running
        done, _ = await asyncio.wait({running}, timeout=timeout_seconds)
        seconds = time.monotonic() - began
        if not done:
            return CheckResult(None, f"no answer within {timeout_seconds:g} s", seconds)
        error = running.exception()
        if error is None:
            return CheckResult(running.result(), "", seconds)
        message = error.message if isinstance(error, AsrError) else ""
        return CheckResult(None, message or type(error).__name__, seconds)

    async def stop(self) -> None:
        """Cancel a running call."""
        if self._running is not None:
            self._running.cancel()
            await asyncio.wait({self._running})


@dataclass(frozen=True)
class HealthChecks:
    """The checks of an API process; `backlog` by pool. Each call is given `timeout_seconds`."""

    timeout_seconds: float
    redis: Check[None]
    store: Check[None]
    workers: Check[list[WorkerRecord]]
    orphans: Check[OrphanedBlobs]
    eviction: Check[Eviction]
    backlog: dict[str, Check[Backlog]]

    async def stop(self) -> None:
        """Cancel the calls that are running."""
        checks: list[Check[Any]] = [
            self.redis, self.store, self.workers, self.orphans, self.eviction,
            *self.backlog.values(),
        ]  # fmt: skip
        await asyncio.gather(*(check.stop() for check in checks), return_exceptions=True)
