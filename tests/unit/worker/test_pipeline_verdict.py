"""What an error means for its task."""

from __future__ import annotations

import errno

import pytest

from asr_core.errors import (
    DecoderCrashed,
    EmptyAudio,
    EngineFailed,
    InvalidOption,
    QueueUnavailable,
    RetryPolicy,
    StoreFull,
    StoreUnavailable,
    UnreadableAudio,
)
from asr_core.store import StoreObjectMissing
from asr_worker.attempts.failure_policy import failure_policy


@pytest.mark.parametrize(
    ("error", "policy", "code"),
    [
        (UnreadableAudio("x"), RetryPolicy.PERMANENT, "unreadable_audio"),
        (EmptyAudio("x"), RetryPolicy.PERMANENT, "empty_audio"),
        (InvalidOption("x"), RetryPolicy.PERMANENT, "invalid_option"),
        (StoreObjectMissing("audio/1"), RetryPolicy.PERMANENT, "audio_gone"),
        (DecoderCrashed("x"), RetryPolicy.TRANSIENT, "decoder_crashed"),
        (EngineFailed("x"), RetryPolicy.TRANSIENT, "engine_failed"),
        (OSError(errno.ENOSPC, "full"), RetryPolicy.TRANSIENT, "work_dir_full"),
        (OSError(errno.EIO, "broken"), RetryPolicy.TRANSIENT, "internal_error"),
        (KeyError("bug"), RetryPolicy.TRANSIENT, "internal_error"),
        (StoreUnavailable("x"), RetryPolicy.POSTPONE, "store_unavailable"),
        (StoreFull("x"), RetryPolicy.POSTPONE, "store_full"),
        (QueueUnavailable("x"), RetryPolicy.POSTPONE, "queue_unavailable"),
    ],
)
def test_an_error_has_one_retry_policy(error: Exception, policy: RetryPolicy, code: str) -> None:
    found = failure_policy(error)
    assert (found.policy, found.code) == (policy, code)


def test_what_an_unknown_error_says_is_not_told_to_the_caller() -> None:
    assert "secret" not in failure_policy(RuntimeError("secret words that were spoken")).message
