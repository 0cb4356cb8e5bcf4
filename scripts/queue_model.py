"""The plain model of a task beside a real queue: what must be true of it, whatever comes."""

from __future__ import annotations

from dataclasses import dataclass

from asr_core.queue import Outcome
from asr_core.task import State


@dataclass
class Model:
    """What must be true of one task."""

    state: State = State.QUEUED
    token: str = ""
    owner: str = ""
    expired: bool = False
    result: str = ""
    webhook: bool = False
    discarded: bool = False

    @property
    def open(self) -> bool:
        return not self.state.terminal


def running(task: Model) -> bool:
    return task.state is State.PROCESSING


def ended(task: Model) -> bool:
    return not task.open


def opened(task: Model) -> bool:
    return task.open


def renewed(task: Model | None, token: str) -> Outcome:
    """The answer to a beat with this token."""
    if task is None:
        return Outcome.GONE
    if task.state is State.CANCELLED:
        return Outcome.CANCELLED
    if running(task) and task.token == token:
        return Outcome.OK
    return Outcome.FENCED


def finished(task: Model | None, token: str) -> Outcome:
    """The answer to a result; that of the same attempt, told again, is taken again."""
    if task is None:
        return Outcome.GONE
    if task.state is State.CANCELLED:
        return Outcome.CANCELLED
    if task.state is State.FAILED or task.token != token:
        return Outcome.FENCED
    return Outcome.OK


def failed(task: Model | None, token: str) -> Outcome:
    """The answer to an error; that of the same attempt, told again, is taken again."""
    if task and task.token == token and task.state is State.COMPLETED:
        return Outcome.FENCED
    if task and task.token == token and task.state is State.FAILED:
        return Outcome.OK
    return finished(task, token)


def released(task: Model | None, token: str) -> Outcome:
    """The answer to a task that is given back."""
    expected = finished(task, token)
    return Outcome.FENCED if task and expected is Outcome.OK and not running(task) else expected
