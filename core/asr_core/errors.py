"""The one tree of errors. HTTP status and retry policy are read from it, not set at the raise.

AsrError
├── RequestError                 the caller's mistake: 4xx, never retried
│   ├── Unauthenticated          401, no key or one that is not known
│   ├── Forbidden                403, the key's scopes do not reach so far
│   ├── InvalidOption            422
│   ├── TaskNotFound             404
│   ├── KeyNotFound              404, of `asr keys`
│   ├── StateConflict            409
│   ├── IdempotencyConflict      409
│   ├── AudioGone                410
│   ├── UploadTooLarge           413
│   ├── UnsupportedAudio         415
│   ├── RangeNotSatisfiable      416
│   ├── QueueFull                429, with Retry-After
│   ├── RateLimited              429, with Retry-After
│   ├── TooManyOpenTasks         429, with Retry-After
│   └── QuotaExceeded            429, where trying again does not help
├── PermanentTaskError           this audio can never be transcribed: failed at once, 422 at submit
│   ├── UnreadableAudio
│   ├── EmptyAudio
│   ├── AudioTooLong
│   └── TooExpensive             more processor time to decode than is allowed
├── TransientTaskError           may pass: retried with backoff
│   ├── DecoderCrashed
│   └── EngineFailed
├── InvalidSetting               a program's own setting: it does not start
└── DependencyError              something we lean on is away: 503, with Retry-After
    ├── QueueUnavailable
    │   ├── PermissionMissing    Redis's user may not do what is needed
    │   └── RedisEvicts          Redis may throw accepted tasks away
    ├── SchemaMismatch
    ├── StoreUnavailable
    ├── StoreFull                507
    └── ClusterUnavailable       the Kubernetes API server did not do what it was asked
"""

from __future__ import annotations

from typing import ClassVar


class AsrError(Exception):
    """Base of every error raised on purpose; `code` is stable and machine-readable."""

    code: ClassVar[str] = "internal_error"
    status: ClassVar[int] = 500

    def __init__(
        self, message: str, *, param: str | None = None, retry_after_seconds: int | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.retry_after_seconds = retry_after_seconds


class InvalidSetting(AsrError, ValueError):
    """A program's setting names what cannot be served; it ends with this line."""

    code = "invalid_setting"


class RequestError(AsrError):
    """The caller's mistake."""

    code = "invalid_request"
    status = 400


class InvalidOption(RequestError):
    """An option has a value that cannot be served."""

    code = "invalid_option"
    status = 422


class TaskNotFound(RequestError):
    """No such task, or it belongs to another tenant."""

    code = "task_not_found"
    status = 404


class StateConflict(RequestError):
    """The task's state does not allow this."""

    code = "state_conflict"
    status = 409


class IdempotencyConflict(RequestError):
    """The idempotency key was used before with another body."""

    code = "idempotency_conflict"
    status = 409


class AudioGone(RequestError):
    """The task is known, its audio has been deleted."""

    code = "audio_gone"
    status = 410


class UploadTooLarge(RequestError):
    """More bytes than allowed, counted while they streamed in."""

    code = "upload_too_large"
    status = 413


class UnsupportedAudio(RequestError):
    """The bytes are no audio container that is served."""

    code = "unsupported_audio"
    status = 415


class RangeNotSatisfiable(RequestError):
    """The requested byte range lies outside the file."""

    code = "range_not_satisfiable"
    status = 416


class QueueFull(RequestError):
    """The queue is at its cap."""

    code = "queue_full"
    status = 429


class Unauthenticated(RequestError):
    """No API key, or one that is not known, has expired or was revoked."""

    code = "invalid_api_key"
    status = 401


class Forbidden(RequestError):
    """The key is good, its scopes do not reach so far."""

    code = "insufficient_scope"
    status = 403


class KeyNotFound(RequestError):
    """There is no API key with this id."""

    code = "key_not_found"
    status = 404


class RateLimited(RequestError):
    """The tenant sent more requests than its rate allows."""

    code = "rate_limit_exceeded"
    status = 429


class TooManyOpenTasks(RequestError):
    """The tenant has as many open tasks as it may."""

    code = "too_many_open_tasks"
    status = 429


class QuotaExceeded(RequestError):
    """The tenant stores as much audio as it may. Room comes from deleting, not from waiting."""

    code = "insufficient_quota"
    status = 429


class PermanentTaskError(AsrError):
    """This audio can never be transcribed: the task fails at once and is not retried."""

    code = "permanent_failure"
    status = 422


class UnreadableAudio(PermanentTaskError):
    """A container that is served, with content that cannot be decoded."""

    code = "unreadable_audio"


class EmptyAudio(PermanentTaskError):
    """No samples."""

    code = "empty_audio"


class AudioTooLong(PermanentTaskError):
    """Longer than the configured maximum."""

    code = "audio_too_long"


class TooExpensive(PermanentTaskError):
    """Decoding took more processor time than is allowed for so much sound."""

    code = "too_expensive"


class TransientTaskError(AsrError):
    """May pass: the task is retried with backoff, five times at most."""

    code = "transient_failure"


class DecoderCrashed(TransientTaskError):
    """The decoder process died while it held this file."""

    code = "decoder_crashed"


class EngineFailed(TransientTaskError):
    """The engine raised on a batch."""

    code = "engine_failed"


class DependencyError(AsrError):
    """Something the platform leans on is away."""

    code = "dependency_unavailable"
    status = 503

    def __init__(
        self, message: str, *, param: str | None = None, retry_after_seconds: int | None = 5
    ) -> None:
        super().__init__(message, param=param, retry_after_seconds=retry_after_seconds)


class QueueUnavailable(DependencyError):
    """Redis cannot be reached, or refuses writes."""

    code = "queue_unavailable"


class PermissionMissing(QueueUnavailable):
    """The user of Redis lacks a permission; the message says which, and how to grant it."""


class RedisEvicts(QueueUnavailable):
    """Redis is configured as a cache: accepted tasks would vanish when it fills up."""

    code = "redis_evicts"


class SchemaMismatch(DependencyError):
    """Redis holds data of a program two or more versions apart."""

    code = "schema_mismatch"


class StoreUnavailable(DependencyError):
    """The audio store cannot be reached."""

    code = "store_unavailable"


class StoreFull(DependencyError):
    """The audio store has no room."""

    code = "store_full"
    status = 507


class ClusterUnavailable(DependencyError):
    """The Kubernetes API server refused, or could not be reached (`reply_status` 0)."""

    code = "cluster_unavailable"

    def __init__(
        self,
        message: str,
        *,
        reply_status: int = 0,
        param: str | None = None,
        retry_after_seconds: int | None = 5,
    ) -> None:
        super().__init__(message, param=param, retry_after_seconds=retry_after_seconds)
        self.reply_status = reply_status

    @property
    def is_refusal(self) -> bool:
        """The account has not the right, or does not exist any more."""
        return self.reply_status in (401, 403)
