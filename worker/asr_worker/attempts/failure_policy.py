"""Classifies the errors that end an attempt, for the queue and for the caller. Pure.

The tree of errors holds the retry policy; only errors outside of it are classified here. Errors of
a dependency do not count against a task: it is released, with its attempt refunded.
"""

from __future__ import annotations

import errno
from dataclasses import dataclass

from asr_core.errors import AsrError, AudioGone, RetryPolicy
from asr_core.store import StoreObjectMissing

_DISK_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


@dataclass(frozen=True)
class FailurePolicy:
    """A retry policy, with the code and message that the caller gets."""

    policy: RetryPolicy
    code: str
    message: str


def failure_policy(error: Exception) -> FailurePolicy:
    """The policy for an error. Messages of unknown errors are only logged."""
    match error:
        case StoreObjectMissing():
            reason = "the audio is no longer in the store"
            return FailurePolicy(error.retry_policy, AudioGone.code, reason)
        case AsrError():
            return FailurePolicy(error.retry_policy, error.code, error.message)
        case OSError() if error.errno in _DISK_FULL:
            reason = "the worker's folder for audio is full"
            return FailurePolicy(RetryPolicy.TRANSIENT, "work_dir_full", reason)
        case _:
            message = f"the worker failed with {type(error).__name__}; its log says more"
            return FailurePolicy(AsrError.retry_policy, AsrError.code, message)
