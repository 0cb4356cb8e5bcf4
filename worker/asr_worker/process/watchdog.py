"""Ends a process that makes no progress, such as on a hung device or a blocked event loop.

By then its leases have expired (the lease keeper has the same deadline), and the supervisor or
Kubernetes restarts it. Native code that hangs while it holds the GIL stops this thread, too: half a
deadline later faulthandler's thread, which needs no GIL, ends the process.
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
    """Arms faulthandler: after `seconds` it dumps all stacks to stderr and exits with status 1."""
    if sys.__stderr__ is not None:
        faulthandler.dump_traceback_later(seconds, exit=True, file=sys.__stderr__)


class Watchdog(threading.Thread):
    """Checks twice per deadline, at least every second. `tick` is called from the event loop."""

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
        """Called regularly by the event loop to show that it runs."""
        self._ticked_at = time.monotonic()

    def stop(self) -> None:
        self._stopping.set()

    def trouble(self) -> str:
        """Why this process is stuck; empty if it is not. Thread-safe."""
        now = time.monotonic()
        if now - (self._busy_since() or now) > self._deadline_seconds:
            return "the engine has not come back from a batch"
        if now - self._ticked_at > self._deadline_seconds:
            return "the event loop has not moved"
        return ""

    def run(self) -> None:
        try:
            self._watch_until_stopped()
        finally:
            faulthandler.cancel_dump_traceback_later()

    def _watch_until_stopped(self) -> None:
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
