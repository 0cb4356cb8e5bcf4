"""Threads for calls that cannot be interrupted: one owns the model, others read texts.

The model is loaded, warmed up and run on one thread only. They are daemon threads, because a
running batch must not keep the process alive.
"""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

Result = TypeVar("Result")


class EngineThread:
    """Runs calls one after the other on one thread; with `count`, so many at once."""

    def __init__(self, name: str = "engine", *, count: int = 1) -> None:
        self._calls: queue.SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None]
        self._calls = queue.SimpleQueue()
        self._busy: dict[int, float] = {}  # by thread: since when
        self._threads = [
            threading.Thread(target=self._run, args=(number,), name=name, daemon=True)
            for number in range(count)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def busy_since(self) -> float | None:
        """Monotonic time at which the oldest call under way began; None without one."""
        return min(list(self._busy.values()), default=None)

    async def call(self, function: Callable[[], Result]) -> Result:
        """Returns or raises what `function` does; cancelling the call does not interrupt it."""
        future: Future[Result] = Future()
        self._calls.put((future, function))
        return await asyncio.wrap_future(future)

    def stop(self) -> None:
        """Ends the threads after the calls that run now."""
        for _ in self._threads:
            self._calls.put(None)

    def _run(self, number: int) -> None:
        while (item := self._calls.get()) is not None:
            future, function = item
            if not future.set_running_or_notify_cancel():
                continue
            self._busy[number] = time.monotonic()
            try:
                result = function()
            except BaseException as error:
                future.set_exception(error)
            else:
                future.set_result(result)
            finally:
                del self._busy[number]
                del item, future, function  # a batch's audio must not outlive it
