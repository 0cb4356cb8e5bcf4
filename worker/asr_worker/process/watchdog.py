"""Ends a process that no longer moves: a hung device or a stuck event loop cannot be talked to.

Its leases run out by then (the lease keeper has the same deadline) and the supervisor, or
Kubernetes, starts it anew. Native code that hangs with the interpreter's lock stops this thread,
too: half a deadline later faulthandler's own, which needs no lock, ends the process.
"""

from __future__ import annotations

import faulthandler
import os
import sys
import threading
import time
from collections.abc import Callable

from asr_core.process.logs import get_logger

EXIT_CODE = 70
_log = get_logger(__name__)


def end_unless_called_again(seconds: float) -> None:
    """Arms faulthandler: it writes where every thread stands to stderr, and ends with status 1."""
    if sys.__stderr__ is not None:
        faulthandler.dump_traceback_later(seconds, exit=True, file=sys.__stderr__)


class Watchdog(threading.Thread):
    """Looks twice per deadline, at least each second. `tick` is called from the event loop."""

    def __init__(
        self,
        *,
        deadline_seconds: float,
        busy_since: Callable[[], float | None],
        leave: Callable[[int], object] = os._exit,
        last_resort: Callable[[float], object] = end_unless_called_again,
    ) -> None:
        super().__init__(name="watchdog", daemon=True)
        self._deadline_seconds = deadline_seconds
        self._busy_since = busy_since
        self._leave = leave
        self._last_resort = last_resort
        self._ticked_at = time.monotonic()
        self._stopping = threading.Event()

    def tick(self) -> None:
        """The event loop lives."""
        self._ticked_at = time.monotonic()

    def stop(self) -> None:
        self._stopping.set()

    def trouble(self) -> str:
        """Why this process does not move; empty while it does. For any thread."""
        now = time.monotonic()
        if now - (self._busy_since() or now) > self._deadline_seconds:
            return "the engine has not come back from a batch"
        if now - self._ticked_at > self._deadline_seconds:
            return "the event loop has not moved"
        return ""

    def run(self) -> None:
        try:
            self._look_until_stopped()
        finally:
            faulthandler.cancel_dump_traceback_later()

    def _look_until_stopped(self) -> None:
        self._last_resort(1.5 * self._deadline_seconds)
        while not self._stopping.wait(min(1.0, self._deadline_seconds / 2)):
            self._last_resort(1.5 * self._deadline_seconds)
            if reason := self.trouble():
                self._end(reason)

    def _end(self, reason: str) -> None:
        deadline = self._deadline_seconds
        _log.critical("no progress, leaving", reason=reason, deadline_seconds=deadline)
        self._stopping.set()
        self._leave(EXIT_CODE)
