"""Retention decisions on plain data, without Redis, store or a clock."""

from __future__ import annotations

import heapq
from collections import defaultdict
from dataclasses import dataclass

from asr_core.settings.store import RetentionSettings
from asr_core.task import State

_DAY_MS = 24 * 3600 * 1000
# A failed task keeps its recording for a retry, until its record goes.
RECORDING_STATES = frozenset({State.COMPLETED, State.CANCELLED})


@dataclass(frozen=True, order=True)
class TaskSnapshot:
    """A task as retention sees it. Ids are UUIDv7: their lexical order is the tasks' age.

    `finished_ms` is on Redis's clock, 0 for an open task; `audio_deleted` says that its recording
    has been given up, whether or not it still lies in the store.
    """

    task_id: str
    tenant: str
    state: State
    finished_ms: int
    bytes: int
    audio_deleted: bool


@dataclass(frozen=True)
class RetentionPolicy:
    """Limits; None is no limit. Ages are counted from the end of a task.

    `max_recordings` spares what ended within `recordings_min_age_ms`, since whoever sent many files
    at once listens to them now; 0 spares nothing: it promises that no recording is kept.
    """

    max_recordings: int | None = None
    recordings_max_age_ms: int | None = None
    results_max_age_ms: int | None = None
    recordings_min_age_ms: int = 0

    @classmethod
    def of(cls, settings: RetentionSettings) -> RetentionPolicy:
        """The limits that the settings name."""
        return cls(
            settings.max_recordings,
            _ms(settings.recordings_max_age_days),
            _ms(settings.results_max_age_days),
            round(settings.recordings_min_age_minutes * 60_000),
        )

    @property
    def limits_recordings(self) -> bool:
        return self.max_recordings is not None or self.recordings_max_age_ms is not None

    def record_is_due(self, task: TaskSnapshot, now_ms: int) -> bool:
        """Whether record, results and recording go together."""
        return task.state.terminal and _is_past(task, self.results_max_age_ms, now_ms)

    def spares(self, task: TaskSnapshot, now_ms: int) -> bool:
        """Whether a task's recording stays though there are more than `max_recordings`."""
        if not self.max_recordings:
            return False
        return now_ms - task.finished_ms < self.recordings_min_age_ms

    def recording_is_due(self, task: TaskSnapshot, now_ms: int) -> bool:
        """Whether the recording has to go for its age, or was given up by a pass that died."""
        if task.audio_deleted:
            return True
        return task.state in RECORDING_STATES and _is_past(task, self.recordings_max_age_ms, now_ms)


class RecordingPlan:
    """Says of recordings, told one by one in any order, which have to go.

    Remembers at most `max_recordings` tasks per tenant, however many it is told.
    """

    def __init__(self, policy: RetentionPolicy) -> None:
        self._policy = policy
        self._newest: dict[str, list[TaskSnapshot]] = defaultdict(list)
        self.kept = 0

    def tell(self, task: TaskSnapshot, now_ms: int) -> TaskSnapshot | None:
        """The task whose recording has to go now that this one is known: this, another, none."""
        if self._policy.record_is_due(task, now_ms):
            return None  # goes with its record
        if self._policy.recording_is_due(task, now_ms):
            return task
        if not task.state.terminal:
            return None
        if task.state not in RECORDING_STATES or self._policy.max_recordings is None:
            self.kept += 1
            return None
        newest = self._newest[task.tenant]
        if len(newest) >= self._policy.max_recordings:
            oldest = heapq.heappushpop(newest, task)
            if not self._policy.spares(oldest, now_ms):
                return oldest
            self.kept += 1
            return None
        heapq.heappush(newest, task)
        self.kept += 1
        return None


def last_id_before(unix_ms: int) -> str:
    """A bound, inclusive: no UUIDv7 made up to this millisecond stands behind it lexically."""
    stamp = f"{max(0, unix_ms):012x}"
    return f"{stamp[:8]}-{stamp[8:]}~"


def _is_past(task: TaskSnapshot, max_age_ms: int | None, now_ms: int) -> bool:
    return max_age_ms is not None and now_ms - task.finished_ms >= max_age_ms


def _ms(days: float | None) -> int | None:
    return None if days is None else round(days * _DAY_MS)
