"""Every submission and what became of it: counts and measured seconds, without I/O or a clock."""

from __future__ import annotations

from array import array
from collections import Counter
from dataclasses import dataclass, field

from asr_cli.load.problem import Problem

UNFINISHED = "no final state"


@dataclass(frozen=True)
class LostTask:
    """Accepted with 202, and without an end that a client could see."""

    task_id: str
    reason: str
    last_state: str


@dataclass(frozen=True)
class TaskEnd:
    """The last reply about a task; `wait` and `processing` None if no worker had begun it."""

    state: str
    error_code: str = ""
    audio_seconds: float = 0.0
    wait_seconds: float | None = None
    processing_seconds: float | None = None


def _seconds() -> array[float]:
    return array("d")


@dataclass
class Ledger:
    """Each submission is `asked` until it is accepted, rejected or closed as unknown; each accepted
    task is open until it has ended, is lost, or is closed.
    """

    submitted: int = 0
    accepted: int = 0
    rejected: int = 0
    asked_again: int = 0
    completed_in_time: int = 0
    audio_seconds_in_time: float = 0.0
    states: Counter[str] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)
    problems: Counter[Problem] = field(default_factory=Counter)
    asked: set[str] = field(default_factory=set)
    open: dict[str, str] = field(default_factory=dict)
    task_ids: dict[str, None] = field(default_factory=dict)
    lost: list[LostTask] = field(default_factory=list)
    unfinished: list[str] = field(default_factory=list)
    submit_seconds: array[float] = field(default_factory=_seconds)
    wait_seconds: array[float] = field(default_factory=_seconds)
    processing_seconds: array[float] = field(default_factory=_seconds)
    total_seconds: array[float] = field(default_factory=_seconds)
    _last_problems: dict[str, Problem] = field(default_factory=dict)

    def submit(self, key: str) -> None:
        """A submission begins; `key` is its idempotency key."""
        self.submitted += 1
        self.asked.add(key)

    def ask_again(self) -> None:
        self.asked_again += 1

    def reject(self, key: str) -> None:
        self.rejected += 1
        self.asked.discard(key)

    def accept(self, key: str, task_id: str, seconds: float) -> None:
        self.accepted += 1
        self.asked.discard(key)
        self.task_ids[task_id] = None
        self.open[task_id] = "queued"
        self.submit_seconds.append(seconds)

    def problem(self, problem: Problem, task_id: str = "") -> None:
        """One more error of this kind; the last of each open task is remembered."""
        self.problems[problem] += 1
        if task_id:
            self._last_problems[task_id] = problem

    def see(self, task_id: str, state: str) -> None:
        """A task that has not ended yet."""
        self.open[task_id] = state
        self._last_problems.pop(task_id, None)

    def end(self, task_id: str, end: TaskEnd, seconds: float, *, in_time: bool) -> None:
        """A terminal state, `seconds` after the submission; `in_time`: while load was offered."""
        self._close(task_id)
        self.states[end.state] += 1
        if end.state == "failed":
            self.failures[end.error_code] += 1
        if end.state != "completed":
            return
        if in_time:
            self.completed_in_time += 1
            self.audio_seconds_in_time += end.audio_seconds
        self.total_seconds.append(seconds)
        if end.wait_seconds is not None:
            self.wait_seconds.append(end.wait_seconds)
        if end.processing_seconds is not None:
            self.processing_seconds.append(end.processing_seconds)

    def lose(self, task_id: str, reason: str) -> None:
        self.lost.append(LostTask(task_id, reason, self.open[task_id]))
        self._close(task_id)

    def close(self, *, cut_short: bool) -> None:
        """The drain is over: open tasks are lost, or only unfinished if it was cut short."""
        for task_id in list(self.open):
            if cut_short:
                self.unfinished.append(task_id)
                self._close(task_id)
            else:
                problem = self._last_problems.get(task_id)
                self.lose(task_id, f"{UNFINISHED}; {problem}" if problem else UNFINISHED)

    @property
    def completed(self) -> int:
        return self.states["completed"]

    @property
    def in_flight(self) -> int:
        """Submissions under way and tasks that have not ended."""
        return len(self.asked) + len(self.open)

    @property
    def errors(self) -> int:
        return self.problems.total()

    def _close(self, task_id: str) -> None:
        del self.open[task_id]
        self._last_problems.pop(task_id, None)
