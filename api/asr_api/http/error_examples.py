"""Errors for the OpenAPI document: per status, with the body and an example of each code."""

from __future__ import annotations

from typing import Any

from asr_api.errors import (
    EncodedBody,
    MalformedUpload,
    ModelNotFound,
    ResultGone,
    SpoolFull,
    TranscriptionFailed,
    TranscriptionTimeout,
    UnsupportedMediaType,
    UnsupportedParameter,
    UploadTimeout,
    UrlRefused,
)
from asr_api.http.error_reply import error_body
from asr_api.schemas.tasks import ErrorBody
from asr_core.errors import (
    AsrError,
    AudioGone,
    AudioTooLong,
    EmptyAudio,
    IdempotencyConflict,
    InvalidOption,
    ModelCannotTranslate,
    QueueFull,
    QueueUnavailable,
    RangeNotSatisfiable,
    RedisEvicts,
    StateConflict,
    StoreFull,
    StoreUnavailable,
    TaskNotFound,
    TooExpensive,
    UnreadableAudio,
    UnsupportedAudio,
    UploadTooLarge,
)

_TASK_ID = "0197d4a5-2f6e-7c3a-9b1d-4e8f2a6c0d11"
_DESCRIPTIONS = {
    400: "The multipart body is malformed, or asks for what the model cannot do",
    404: "No such task",
    408: "The client stopped sending",
    409: "Not in this state",
    410: "Deleted",
    413: "Too large; the upload is aborted",
    415: "Unsupported audio format",
    416: "The range is outside the file",
    422: "A value in the request is not valid",
    429: "The queue is full; `Retry-After` says when to try again",
    500: "Internal error",
    503: "Redis, the store or this pod is unavailable; `Retry-After` says when to try again",
    504: "Not done within the maximum wait; repeating the request joins the run",
    507: "The store is full",
}
_EXAMPLES: dict[type[AsrError], tuple[str, str | None]] = {
    InvalidOption: ("Unknown lane 'fast'; there are: interactive, normal, batch.", "lane"),
    TaskNotFound: (f"There is no task '{_TASK_ID}'.", None),
    StateConflict: ("The task is queued; it has no transcript yet.", None),
    IdempotencyConflict: (
        f"Idempotency key 'order-17' was used for task {_TASK_ID} with another body.",
        "Idempotency-Key",
    ),
    UnsupportedParameter: ("'include' is not supported: there are no logprobs.", "include"),
    ModelNotFound: ("There is no model 'whisper-9'; there are: default, embedded.", "model"),
    ModelCannotTranslate: (
        "The model of pool 'default' (embedded) does not translate; these do: whisper.", "task",
    ),
    TranscriptionFailed: ("engine_failed: the engine failed on this audio", None),
    TranscriptionTimeout: ("There is no transcript after 600 s.", None),
    AudioGone: ("The task's audio has been deleted.", None),
    ResultGone: ("The task's result has been deleted.", None),
    UploadTooLarge: ("The audio is larger than 2147483648 bytes, the maximum.", "audio"),
    UnsupportedAudio: ("The file is not audio; supported formats: wav, flac and more.", "audio"),
    UnsupportedMediaType: ("The body must be multipart/form-data.", "content-type"),
    EncodedBody: ("A body with Content-Encoding 'gzip' is not accepted: send it unencoded.", None),
    RangeNotSatisfiable: ("'bytes=9000-' is outside the file's 4096 bytes.", "range"),
    MalformedUpload: ("The multipart body ends before its last boundary.", None),
    UploadTimeout: ("The client sent less than 4096 bytes within 30 seconds.", None),
    UnreadableAudio: ("The audio cannot be read: Invalid data found.", "audio"),
    EmptyAudio: ("The audio has no samples.", "audio"),
    UrlRefused: ("The host '10.0.0.7' is not on the public internet.", "url"),
    AudioTooLong: ("The audio lasts 40000 s or more; 36000 s are allowed.", "audio"),
    TooExpensive: ("Probing the audio took more than 20 s of processor time.", "audio"),
    QueueFull: ("pool 'default' is full: try again when other tasks have ended", None),
    QueueUnavailable: ("Redis is not available.", None),
    RedisEvicts: (
        "Redis evicts any key when it is full (maxmemory-policy allkeys-lru), and with it accepted "
        "tasks: no new work is taken until you set maxmemory-policy to noeviction",
        None,
    ),
    StoreUnavailable: ("The store is not available.", None),
    StoreFull: ("The store is full.", None),
    SpoolFull: ("Uploads in progress fill the upload folder; try again soon.", None),
}  # fmt: skip

SUBMIT_ERRORS: tuple[type[AsrError], ...] = (
    MalformedUpload, UploadTimeout, IdempotencyConflict, StateConflict, UploadTooLarge,
    UnsupportedAudio, UnsupportedMediaType, EncodedBody, InvalidOption, ModelCannotTranslate,
    UrlRefused, UnreadableAudio, EmptyAudio, AudioTooLong, TooExpensive, QueueFull,
    QueueUnavailable, RedisEvicts, StoreUnavailable, SpoolFull, StoreFull,
)  # fmt: skip


def documented_errors(*errors: type[AsrError]) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a route that raises `errors`; every route may also end in a 500."""
    by_status: dict[int, dict[str, Any]] = {}
    for error in errors:
        message, param = _EXAMPLES[error]
        body = error_body(error.status, message, code=error.code, param=param)
        by_status.setdefault(error.status, {})[error.code] = {"value": body}
    internal = error_body(500, "An internal error occurred.", code="internal_error")
    by_status[500] = {"internal_error": {"value": internal}}
    return {
        status: {
            "model": ErrorBody,
            "description": _DESCRIPTIONS[status],
            "content": {"application/json": {"examples": examples}},
        }
        for status, examples in sorted(by_status.items())
    }
