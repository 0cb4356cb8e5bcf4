"""Worker processes under a parent: started, started again when they end, stopped together.

The parent loads no model and, once its children run, speaks to neither Redis nor the store.
"""

from __future__ import annotations

import multiprocessing
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from types import FrameType

from asr_core.backoff import backoff_seconds
from asr_core.process.logs import get_logger
from asr_worker.settings import WorkerSettings

Start = Callable[[WorkerSettings], None]
# A child that lived this long was healthy: its next death is the first again.
_HEALTHY_SECONDS = 60.0
_FIRST_PAUSE_SECONDS = 1.0
_LOOK_SECONDS = 0.2
_log = get_logger(__name__)


@dataclass
class _Child:
    settings: WorkerSettings
    process: BaseProcess | None = None
    started_at: float = 0.0
    deaths: int = 0
    start_at: float = 0.0
    signals: int = 0


def child_settings(settings: WorkerSettings, number: int, host: str) -> WorkerSettings:
    """Settings of one child: a name and a metrics port of its own, counted from 0."""
    changes = {
        "worker_count": 1,
        "worker_name": f"{settings.worker_name or host}-{number}",
        "metrics_port": settings.metrics_port and settings.metrics_port + number,
    }
    return settings.model_copy(update=changes)


class Supervisor:
    """Keeps one process per settings running; `run` returns when all have ended after a signal.

    A child that ends with status 0 gave way to a fresh one, which starts at once. After any other
    end it starts again with a growing pause, or, without `restart_crashed`, ends everything.
    """

    def __init__(
        self, settings: list[WorkerSettings], start: Start, *, restart_crashed: bool = True
    ) -> None:
        self._children = [_Child(each) for each in settings]
        self._start = start
        self._restart_crashed = restart_crashed
        self._spawn = multiprocessing.get_context("spawn")
        self._signals = 0
        self._status = 0

    def run(self) -> int:
        """Returns 0 if every child drained, else the exit status of the last one that did not."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        while not self._signals or any(child.process for child in self._children):
            for child in self._children:
                self._look_at(child)
            # A signal does not end this wait: hence its length.
            wait([c.process.sentinel for c in self._children if c.process], timeout=_LOOK_SECONDS)
        return self._status

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        """Counted here and passed on in the loop: a child may be half started at this moment."""
        self._signals += 1

    def _look_at(self, child: _Child) -> None:
        now = time.monotonic()
        if child.process is not None and not child.process.is_alive():
            self._note_end(child, now)
        if child.process is None and not self._signals and now >= child.start_at:
            child.process = self._spawn.Process(target=self._start, args=(child.settings,))
            child.process.start()
            child.started_at = now
        while child.process is not None and child.signals < self._signals:
            child.process.terminate()
            child.signals += 1

    def _note_end(self, child: _Child, now: float) -> None:
        assert child.process is not None
        code = child.process.exitcode or 0
        child.process.close()
        child.process = None
        name = child.settings.worker_name
        if self._signals:
            # One that had not yet come to handle signals had nothing in hand either.
            if code not in (0, -signal.SIGTERM):
                self._status = _as_status(code)
        elif code == 0:
            child.deaths = 0
            _log.info("a fresh worker process starts", worker=name)
        elif not self._restart_crashed:
            _log.error("worker process ended", worker=name, exit_code=code)
            self._status = _as_status(code)
            self._signals = 1
        else:
            child.deaths = 1 if now - child.started_at > _HEALTHY_SECONDS else child.deaths + 1
            pause = backoff_seconds(child.deaths - 1, first=_FIRST_PAUSE_SECONDS, most=30.0)
            child.start_at = now + pause
            _log.error("worker process ended", worker=name, exit_code=code, restart_seconds=pause)


def _as_status(code: int) -> int:
    """A death by signal as shells tell it."""
    return code if code >= 0 else 128 - code
