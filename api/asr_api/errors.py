"""Errors that only HTTP knows, hung into the tree of `asr_core.errors`.

RequestError
├── MalformedUpload        400  the multipart body cannot be read
├── UploadTimeout          408  the client fell silent
├── ResultGone             410  the task is known, its result has been deleted
└── UnsupportedMediaType   415  the request is not multipart/form-data
DependencyError
└── SpoolFull              503  uploads in flight fill the local folder
"""

from __future__ import annotations

from asr_core.errors import DependencyError, RequestError


class MalformedUpload(RequestError):
    """The multipart body breaks its own rules."""

    code = "malformed_upload"
    status = 400


class UploadTimeout(RequestError):
    """The client sent nothing, or next to nothing, for too long."""

    code = "upload_timeout"
    status = 408


class ResultGone(RequestError):
    """The task is known, its result has been deleted."""

    code = "result_gone"
    status = 410


class UnsupportedMediaType(RequestError):
    """The request's body is of a type that this route does not read."""

    code = "unsupported_media_type"
    status = 415


class SpoolFull(DependencyError):
    """The uploads in flight fill the local folder; they leave it within seconds."""

    code = "spool_full"
