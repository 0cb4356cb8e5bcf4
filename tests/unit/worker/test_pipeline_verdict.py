"""What an error means for its task."""

from __future__ import annotations

import errno

import pytest

from asr_core.errors import (
    DecoderCrashed,
    EmptyAudio,
    EngineFailed,
    QueueUnavailable,
    StoreFull,
    StoreUnavailable,
    UnreadableAudio,
)
from asr_core.store import StoreObjectMissing
from asr_worker.attempts.failure_policy import Fate, failure_policy


@pytest.mark.parametrize(
    ("error", "fate", "code"),
    [
        (UnreadableAudio("x"), Fate.PERMANENT, "unreadable_audio"),
        (EmptyAudio("x"), Fate.PERMANENT, "empty_audio"),
        (StoreObjectMissing("audio/1"), Fate.PERMANENT, "audio_gone"),
        (DecoderCrashed("x"), Fate.TRANSIENT, "decoder_crashed"),
        (EngineFailed("x"), Fate.TRANSIENT, "engine_failed"),
        (OSError(errno.ENOSPC, "full"), Fate.TRANSIENT, "work_dir_full"),
        (OSError(errno.EIO, "broken"), Fate.TRANSIENT, "internal_error"),
        (KeyError("bug"), Fate.TRANSIENT, "internal_error"),
        (StoreUnavailable("x"), Fate.RELEASE, "store_unavailable"),
        (StoreFull("x"), Fate.RELEASE, "store_full"),
        (QueueUnavailable("x"), Fate.RELEASE, "queue_unavailable"),
    ],
)
def test_an_error_has_one_fate(error: Exception, fate: Fate, code: str) -> None:
    policy = failure_policy(error)
    assert (policy.fate, policy.code) == (fate, code)


def test_what_an_unknown_error_says_is_not_told_to_the_caller() -> None:
    assert "secret" not in failure_policy(RuntimeError("secret words that were spoken")).message
