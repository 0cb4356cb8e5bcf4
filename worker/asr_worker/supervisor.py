"""Several worker processes under one parent: started, restarted when they die, stopped together.

The parent loads no model and speaks to neither Redis nor the store.
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

from asr_core.logs import get_logger
from asr_core.settings import WorkerSettings
from asr_worker.capacity import backoff_seconds

Start = Callable[[WorkerSettings], None]
# A child that lived this long was healthy: its next death is the first again.
_HEALTHY_SECONDS = 60.0
_log = get_logger(__name__)


@dataclass
class _Child:
    settings: WorkerSettings
    process: BaseProcess | None = None
    started_at: float = 0.0
    deaths: int = 0
    start_at: float = 0.0


def child_settings(settings: WorkerSettings, number: int, host: str) -> WorkerSettings:
    """Settings of one child: a name and a metrics port of its own, counted from 0."""
    changes = {
        "worker_count": 1,
        "worker_name": f"{settings.worker_name or host}-{number}",
        "metrics_port": settings.metrics_port and settings.metrics_port + number,
    }
    return settings.model_copy(update=changes)


class Supervisor:
    """Keeps one process per settings running; `run` returns when all have ended after a signal."""

    def __init__(self, settings: list[WorkerSettings], start: Start) -> None:
        self._children = [_Child(each) for each in settings]
        self._start = start
        self._spawn = multiprocessing.get_context("spawn")
        self._stopping = False
        self._failed = False

    def run(self) -> int:
        """Returns 0 if every child drained."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._forward)
        while not self._stopping or any(child.process for child in self._children):
            for child in self._children:
                self._look_at(child)
            wait([c.process.sentinel for c in self._children if c.process], timeout=0.2)
        return 1 if self._failed else 0

    def _forward(self, number: int, _frame: FrameType | None) -> None:
        self._stopping = True
        for child in self._children:
            if child.process is not None and child.process.pid is not None:
                child.process.terminate()

    def _look_at(self, child: _Child) -> None:
        now = time.monotonic()
        if child.process is not None and not child.process.is_alive():
            self._note_death(child, now)
        if child.process is None and not self._stopping and now >= child.start_at:
            child.process = self._spawn.Process(target=self._start, args=(child.settings,))
            child.process.start()
            child.started_at = now

    def _note_death(self, child: _Child, now: float) -> None:
        assert child.process is not None
        code = child.process.exitcode
        child.process.close()
        child.process = None
        if self._stopping:
            self._failed = self._failed or code != 0
            return
        child.deaths = 1 if now - child.started_at > _HEALTHY_SECONDS else child.deaths + 1
        pause = backoff_seconds(child.deaths - 1, first=1.0, most=30.0)
        child.start_at = now + pause
        name = child.settings.worker_name
        _log.error("worker process ended", worker=name, exit_code=code, restart_seconds=pause)
