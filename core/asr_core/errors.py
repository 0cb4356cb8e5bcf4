"""The one tree of errors. HTTP status and retry policy are read from it, not set at the raise.

Every exception class of the API, the worker, the operator and the command line descends from
`AsrError`; each package draws its own branches in its `errors.py`. `asr_api.http.error_reply` alone
turns errors into HTTP replies. The public client has a tree of its own, as it imports no room.

AsrError
├── RequestError                 invalid request: 4xx, never retried
│   ├── Unauthenticated          401, missing or unknown API key
│   ├── Forbidden                403, the key lacks a scope
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
│   └── QuotaExceeded            429, not resolved by retrying
├── PermanentTaskError           this audio cannot be transcribed: fails at once, 422 at submit
│   ├── UnreadableAudio
│   ├── EmptyAudio
│   ├── AudioTooLong
│   ├── TooExpensive             decoding exceeds its CPU time limit
│   └── ModelCannotTranslate     400 at submit; by a worker where its pool was not known then
├── TransientTaskError           transient: retried with backoff
│   ├── DecoderCrashed
│   └── EngineFailed
├── InvalidSetting               invalid setting: the program does not start
├── ModelDamaged                 a cached model is not what its authors publish
├── StoreObjectMissing           404, the store has no object at this path
├── SweepRefused                 Redis and store do not match: no orphaned blob is deleted
├── RetentionRefused             the same, for retention
├── _GivenUp                     aborts an upload inside obstore; does not leave that module
└── DependencyError              a dependency is unavailable: 503, with Retry-After
    ├── QueueUnavailable
    │   ├── NotTheMaster         another server must be asked
    │   ├── PermissionMissing    the Redis user lacks a permission
    │   └── RedisEvicts          Redis may evict accepted tasks
    ├── SchemaMismatch
    ├── StoreUnavailable
    ├── StoreFull                507
    └── ClusterUnavailable       the Kubernetes API server refused or is unreachable
"""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar


class RetryPolicy(StrEnum):
    """What an error means for the task that it ended.

    `PERMANENT`: the task fails at once. `TRANSIENT`: it is retried with backoff, a few times.
    `POSTPONE`: the cause is not the task's, the attempt does not count.
    """

    PERMANENT = "permanent"
    TRANSIENT = "transient"
    POSTPONE = "postpone"


class AsrError(Exception):
    """Base of all our errors; `code` is stable and machine-readable.

    `default_retry_after_seconds` applies over HTTP unless the raise gives another value; None:
    retrying does not help.
    """

    code: ClassVar[str] = "internal_error"
    status: ClassVar[int] = 500
    retry_policy: ClassVar[RetryPolicy] = RetryPolicy.TRANSIENT
    default_retry_after_seconds: ClassVar[int | None] = None

    def __init__(
        self, message: str, *, param: str | None = None, retry_after_seconds: int | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.retry_after_seconds = retry_after_seconds or self.default_retry_after_seconds


class InvalidSetting(AsrError, ValueError):
    """An invalid setting; the program exits with this message."""

    code = "invalid_setting"


class ModelDamaged(AsrError):
    """A cached model has other files than the catalogue says. It is not loaded."""

    code = "model_damaged"


class RequestError(AsrError):
    """The request is invalid."""

    code = "invalid_request"
    status = 400
    retry_policy = RetryPolicy.PERMANENT


class InvalidOption(RequestError):
    """An option has an unsupported value."""

    code = "invalid_option"
    status = 422


class TaskNotFound(RequestError):
    """No such task, or it belongs to another tenant."""

    code = "task_not_found"
    status = 404


class StateConflict(RequestError):
    """Not allowed in the task's current state."""

    code = "state_conflict"
    status = 409


class IdempotencyConflict(RequestError):
    """The idempotency key was used with another body."""

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
    """Not a supported audio format."""

    code = "unsupported_audio"
    status = 415


class RangeNotSatisfiable(RequestError):
    """The requested byte range lies outside the file, which has `size` bytes."""

    code = "range_not_satisfiable"
    status = 416

    def __init__(self, message: str, *, size: int, param: str | None = None) -> None:
        super().__init__(message, param=param)
        self.size = size


class QueueFull(RequestError):
    """The queue is at its cap."""

    code = "queue_full"
    status = 429
    default_retry_after_seconds = 10


class Unauthenticated(RequestError):
    """API key missing, unknown, expired or revoked."""

    code = "invalid_api_key"
    status = 401


class Forbidden(RequestError):
    """The key is valid but lacks the required scope."""

    code = "insufficient_scope"
    status = 403


class KeyNotFound(RequestError):
    """There is no API key with this id."""

    code = "key_not_found"
    status = 404


class RateLimited(RequestError):
    """The tenant exceeded its request rate."""

    code = "rate_limit_exceeded"
    status = 429


class TooManyOpenTasks(RequestError):
    """The tenant is at its limit of open tasks."""

    code = "too_many_open_tasks"
    status = 429
    default_retry_after_seconds = 10


class QuotaExceeded(RequestError):
    """The tenant is at its storage quota. Deleting tasks helps, waiting does not."""

    code = "insufficient_quota"
    status = 429


class PermanentTaskError(AsrError):
    """This audio cannot be transcribed: the task fails at once and is not retried."""

    code = "permanent_failure"
    status = 422
    retry_policy = RetryPolicy.PERMANENT


class UnreadableAudio(PermanentTaskError):
    """A supported container whose content cannot be decoded."""

    code = "unreadable_audio"


class EmptyAudio(PermanentTaskError):
    """No samples."""

    code = "empty_audio"


class AudioTooLong(PermanentTaskError):
    """Longer than the configured maximum."""

    code = "audio_too_long"


class TooExpensive(PermanentTaskError):
    """Decoding exceeded the CPU time allowed for this duration."""

    code = "too_expensive"


class ModelCannotTranslate(PermanentTaskError):
    """The model only transcribes: its transcript would not be the translation asked for."""

    code = "model_cannot_translate"
    status = 400


class TransientTaskError(AsrError):
    """Transient: the task is retried with backoff, five times at most."""

    code = "transient_failure"


class DecoderCrashed(TransientTaskError):
    """The decoder process died on this file."""

    code = "decoder_crashed"


class EngineFailed(TransientTaskError):
    """The engine raised on a batch."""

    code = "engine_failed"


class DependencyError(AsrError):
    """A dependency is unavailable."""

    code = "dependency_unavailable"
    status = 503
    retry_policy = RetryPolicy.POSTPONE
    default_retry_after_seconds = 5


class QueueUnavailable(DependencyError):
    """Redis cannot be reached, or refuses writes."""

    code = "queue_unavailable"


class PermissionMissing(QueueUnavailable):
    """The Redis user lacks a permission; the message names it and how to grant it."""


class RedisEvicts(QueueUnavailable):
    """Redis is configured as a cache: it would evict accepted tasks when full."""

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

    def __init__(self, message: str, *, reply_status: int = 0) -> None:
        super().__init__(message)
        self.reply_status = reply_status

    @property
    def is_refusal(self) -> bool:
        """The account lacks the permission, or no longer exists."""
        return self.reply_status in (401, 403)
