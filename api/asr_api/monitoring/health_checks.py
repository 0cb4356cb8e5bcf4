"""Is a dependency there? Asked often and answered quickly, also by a dependency that hangs."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from asr_core.errors import AsrError

T = TypeVar("T")


@dataclass(frozen=True)
class CheckResult(Generic[T]):
    """`message` is empty when all is well; only then there is a `value`."""

    value: T | None
    message: str
    seconds: float

    @property
    def ok(self) -> bool:
        return not self.message


class Check(Generic[T]):
    """One question to one dependency; however many ask, it is put once at a time.

    A call that takes too long is left to end by its own time-out: cancelling it could leave its
    reply to the next caller of the connection.
    """

    def __init__(self, ask: Callable[[], Coroutine[Any, Any, T]]) -> None:
        self._ask = ask
        self._running: asyncio.Task[T] | None = None

    async def result(self, timeout_seconds: float) -> CheckResult[T]:
        """The answer within `timeout_seconds`; raises nothing."""
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
        """End a question that is still open."""
        if self._running is not None:
            self._running.cancel()
            await asyncio.wait({self._running})
