"""Classifies the errors that end an attempt; the only place where a worker decides this. Pure.

Errors of a dependency do not count against a task: it is released, with its attempt refunded.
"""

from __future__ import annotations

import errno
from dataclasses import dataclass
from enum import StrEnum

from asr_core.errors import AsrError, AudioGone, DependencyError, PermanentTaskError
from asr_core.store import StoreObjectMissing

_DISK_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


class Fate(StrEnum):
    """`PERMANENT`: the task fails. `TRANSIENT`: retried up to a limit. `RELEASE`: refunded."""

    PERMANENT = "permanent"
    TRANSIENT = "transient"
    RELEASE = "hand_back"


@dataclass(frozen=True)
class FailurePolicy:
    """A fate, with the code and message that the caller gets."""

    fate: Fate
    code: str
    message: str


def failure_policy(error: Exception) -> FailurePolicy:
    """The policy for an error. Messages of unknown errors are only logged."""
    match error:
        case StoreObjectMissing():
            return FailurePolicy(
                Fate.PERMANENT, AudioGone.code, "the audio is no longer in the store"
            )
        case PermanentTaskError():
            return FailurePolicy(Fate.PERMANENT, error.code, error.message)
        case DependencyError():
            return FailurePolicy(Fate.RELEASE, error.code, error.message)
        case AsrError():
            return FailurePolicy(Fate.TRANSIENT, error.code, error.message)
        case OSError() if error.errno in _DISK_FULL:
            return FailurePolicy(
                Fate.TRANSIENT, "work_dir_full", "the worker's folder for audio is full"
            )
        case _:
            message = f"the worker failed with {type(error).__name__}; its log says more"
            return FailurePolicy(Fate.TRANSIENT, AsrError.code, message)
