"""What an error means for the task it hit: the one place where a worker decides this. Pure.

An error of a dependency is never held against a task: it is handed back with its attempt refunded.
"""

from __future__ import annotations

import errno
from dataclasses import dataclass
from enum import StrEnum

from asr_core.errors import AsrError, AudioGone, DependencyError, PermanentTaskError
from asr_core.store import StoreObjectMissing

_DISK_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


class Fate(StrEnum):
    """`PERMANENT`: failed at once. `TRANSIENT`: retried a few times. `HAND_BACK`: never begun."""

    PERMANENT = "permanent"
    TRANSIENT = "transient"
    HAND_BACK = "hand_back"


@dataclass(frozen=True)
class FailurePolicy:
    """A fate with what the caller is told."""

    fate: Fate
    code: str
    message: str


def failure_policy(error: Exception) -> FailurePolicy:
    """The verdict on a task that an error ended. Messages of unknown errors stay in the log."""
    match error:
        case StoreObjectMissing():
            return FailurePolicy(
                Fate.PERMANENT, AudioGone.code, "the audio is no longer in the store"
            )
        case PermanentTaskError():
            return FailurePolicy(Fate.PERMANENT, error.code, error.message)
        case DependencyError():
            return FailurePolicy(Fate.HAND_BACK, error.code, error.message)
        case AsrError():
            return FailurePolicy(Fate.TRANSIENT, error.code, error.message)
        case OSError() if error.errno in _DISK_FULL:
            return FailurePolicy(
                Fate.TRANSIENT, "work_dir_full", "the worker's folder for audio is full"
            )
        case _:
            message = f"the worker failed with {type(error).__name__}; its log says more"
            return FailurePolicy(Fate.TRANSIENT, AsrError.code, message)
