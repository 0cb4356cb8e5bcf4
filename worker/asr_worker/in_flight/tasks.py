"""The tasks in flight, from claim to report. State only."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from asr_core.queue import Claim, Outcome
from asr_worker.in_flight.disk_quota import DiskShare

TaskKey = tuple[str, str]


class Stage(StrEnum):
    """The stages of `asr_stage_duration_seconds`, in the order a task goes through them."""

    DOWNLOAD = "download"
    DECODE = "decode"
    SEGMENT = "segment"
    BATCH_WAIT = "batch_wait"
    ENGINE = "engine"
    ASSEMBLE = "assemble"
    FINISH = "finish"


_PREPARING = (None, Stage.DOWNLOAD, Stage.DECODE, Stage.SEGMENT)


@dataclass(eq=False)
class InFlightTask:
    """One attempt and its progress.

    `total_seconds` is the duration probed at submit, then the decoded one; `stage` is None while
    the task waits for a decoder. `lost` is set once the attempt no longer counts. `work` is its
    coroutine, `disk` its share of the disk quota.
    """

    claim: Claim
    folder: Path
    total_seconds: float
    claimed_at: float = field(default_factory=time.monotonic)
    moved_at: float = field(default_factory=time.monotonic)
    entered_at: float = field(default_factory=time.monotonic)
    stage: Stage | None = None
    done_seconds: float = 0.0
    lost: Outcome | None = None
    work: asyncio.Task[None] | None = None
    disk: DiskShare | None = None

    @property
    def task_id(self) -> str:
        return self.claim.task.task_id

    @property
    def key(self) -> TaskKey:
        return self.task_id, self.claim.token

    @property
    def left_seconds(self) -> float:
        """Audio still to transcribe."""
        return max(0.0, self.total_seconds - self.done_seconds)

    @property
    def fraction(self) -> float:
        """Share of the audio transcribed."""
        return min(1.0, self.done_seconds / self.total_seconds) if self.total_seconds else 0.0

    @property
    def preparing(self) -> bool:
        """Whether its segments are not ready yet."""
        return self.stage in _PREPARING

    @property
    def reporting(self) -> bool:
        """Whether only the report to the queue is left."""
        return self.stage is Stage.FINISH


class InFlightTasks:
    """`changed` is set whenever a task is removed.

    `done_count` counts completed tasks, `gone_count` all that were removed.
    """

    def __init__(self) -> None:
        self._tasks: dict[TaskKey, InFlightTask] = {}
        self.changed = asyncio.Event()
        self.done_count = 0
        self.gone_count = 0

    def add(self, task: InFlightTask) -> None:
        self._tasks[task.key] = task

    def remove(self, task: InFlightTask) -> None:
        if self._tasks.pop(task.key, None) is not None:
            self.gone_count += 1
        self.changed.set()

    def find(self, task_id: str, token: str) -> InFlightTask | None:
        return self._tasks.get((task_id, token))

    def __contains__(self, key: TaskKey) -> bool:
        return key in self._tasks

    def __iter__(self) -> Iterator[InFlightTask]:
        """Iterates over a copy: tasks may be added and removed meanwhile."""
        return iter(list(self._tasks.values()))

    def __len__(self) -> int:
        return len(self._tasks)

    @property
    def solo(self) -> bool:
        """Whether one of the tasks must run alone."""
        return any(task.claim.solo for task in self._tasks.values())

    @property
    def preparing(self) -> bool:
        """Whether a task is about to bring segments."""
        return any(task.preparing for task in self._tasks.values())

    @property
    def left_seconds(self) -> float:
        return sum(task.left_seconds for task in self._tasks.values())
