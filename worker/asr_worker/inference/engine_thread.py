"""Threads for calls that cannot be interrupted: one owns the model, another reads texts.

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
    """Runs calls one after the other on one thread."""

    def __init__(self, name: str = "engine") -> None:
        self._calls: queue.SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None]
        self._calls = queue.SimpleQueue()
        self.busy_since: float | None = None
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    async def call(self, function: Callable[[], Result]) -> Result:
        """Returns or raises what `function` does; cancelling the call does not interrupt it."""
        future: Future[Result] = Future()
        self._calls.put((future, function))
        return await asyncio.wrap_future(future)

    def stop(self) -> None:
        """Ends the thread after the call that runs now."""
        self._calls.put(None)

    def _run(self) -> None:
        while (item := self._calls.get()) is not None:
            future, function = item
            if not future.set_running_or_notify_cancel():
                continue
            self.busy_since = time.monotonic()
            try:
                result = function()
            except BaseException as error:
                future.set_exception(error)
            else:
                future.set_result(result)
            finally:
                self.busy_since = None
                del item, future, function  # a batch's audio must not outlive it
