"""An event loop in a thread, in which code that is not asynchronous runs what is."""

from __future__ import annotations

import asyncio
import os
import threading
import weakref
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator
from typing import Any, Generic, TypeVar

from asr_platform.errors import ClientError

_T = TypeVar("_T")
_Owned = TypeVar("_Owned")


class LoopThread(Generic[_Owned]):
    """What `make` makes, in a loop of its own; any thread may call.

    The thread starts with the first call and ends with `close`, with the last reference to this, or
    with the program. A process that was forked starts anew, with what `make` makes there: threads
    and connections of its parent are of no use to it.
    """

    def __init__(self, make: Callable[[], _Owned]) -> None:
        self._make = make
        self._closed = False
        self._lock = threading.Lock()
        self._process_id = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: Callable[[], object] = lambda: None
        self.owned = make()

    def run(self, call: Callable[[_Owned], Coroutine[Any, Any, _T]]) -> _T:
        """The coroutine's result. An interrupt here cancels it."""
        loop = self._running_loop()
        future = asyncio.run_coroutine_threadsafe(call(self.owned), loop)
        try:
            return future.result()
        finally:
            future.cancel()

    def iterate(self, call: Callable[[_Owned], AsyncGenerator[_T, None]]) -> Iterator[_T]:
        """What the asynchronous iterator gives, one after the other."""
        items: AsyncGenerator[_T, None] | None = None

        async def following(owned: _Owned) -> list[_T]:
            nonlocal items
            items = call(owned) if items is None else items
            try:
                return [await anext(items)]
            except StopAsyncIteration:
                return []

        try:
            while found := self.run(following):
                yield found[0]
        finally:
            # Not awaited: an iterator may be dropped in any thread, this loop's included.
            if items is not None and not self._closed and self._loop is not None:
                asyncio.run_coroutine_threadsafe(items.aclose(), self._loop)

    def close(self, end: Callable[[_Owned], Coroutine[Any, Any, None]]) -> None:
        """Run `end`, then stop the loop and its thread. Once; a second call does nothing."""
        if self._closed:
            return
        if self._loop is not None and self._process_id == os.getpid():
            self.run(end)
            self._stop()
        self._closed = True

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        if self._closed:
            raise ClientError("this client has been closed")
        if self._process_id != os.getpid():
            self._lock = threading.Lock() if self._process_id else self._lock
            with self._lock:
                if self._process_id != os.getpid():
                    self._start()
        loop = self._loop
        assert loop is not None
        try:
            inside = asyncio.get_running_loop() is loop
        except RuntimeError:
            inside = False
        if inside:
            raise ClientError("a callback of this client cannot call it: it would wait for itself")
        return loop

    def _start(self) -> None:
        if self._process_id:
            self.owned = self._make()
        runner, stopped = asyncio.Runner(loop_factory=asyncio.new_event_loop), asyncio.Event()
        self._loop = runner.get_loop()
        threading.Thread(
            target=_run_until, args=[runner, stopped], name="asr_platform", daemon=True
        ).start()
        self._stop = finalizer = weakref.finalize(self, _set, self._loop, stopped)
        finalizer.atexit = False
        self._process_id = os.getpid()


def _run_until(runner: asyncio.Runner, stopped: asyncio.Event) -> None:
    with runner:  # calls that are still open when it ends are cancelled
        runner.run(stopped.wait())


def _set(loop: asyncio.AbstractEventLoop, stopped: asyncio.Event) -> None:
    loop.call_soon_threadsafe(stopped.set)
