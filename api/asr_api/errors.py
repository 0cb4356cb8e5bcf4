"""Errors specific to the HTTP API; part of the error tree of `asr_core.errors`.

RequestError
├── MalformedUpload        400  the multipart body cannot be read
├── MalformedHost          400  Host is missing, repeated or malformed
├── CrossSiteRequest       403  without keys: a write from another origin
├── OriginNotAllowed       403  a browser's preflight from an origin that is not listed
├── UploadTimeout          408  the client stopped sending
├── ResultGone             410  the task is known, its result has been deleted
├── UrlRefused             422  not http(s), or not on the public internet
├── UnsupportedParameter   400  known, but not supported here
├── ModelNotFound          404  no pool or model of that name
├── HostNotAllowed         421  without keys: Host is not in ASR_ALLOWED_HOSTS
├── UnsupportedMediaType   415  the request is not multipart/form-data
└── EncodedBody            415  the request is compressed
AsrError
├── TranscriptionFailed    500  the awaited task failed after its retries
├── TranscriptionRestarted 500  a stream that cannot continue
└── TranscriptionTimeout   504  the awaited task takes longer than the limit
DependencyError
├── SpoolFull              503  uploads in flight fill the spool
└── ProbeUnavailable       503  the header probe could not run
"""

from __future__ import annotations

from asr_core.errors import AsrError, DependencyError, RequestError


class MalformedUpload(RequestError):
    """The multipart body is malformed."""

    code = "malformed_upload"
    status = 400


class MalformedHost(RequestError):
    """`Host` is missing, repeated or malformed (RFC 9112, section 3.2)."""

    code = "bad_request"
    status = 400


class HostNotAllowed(RequestError):
    """Without API keys: `Host` is not an allowed name."""

    code = "host_not_allowed"
    status = 421


class CrossSiteRequest(RequestError):
    """Without API keys: a cross-site write was refused."""

    code = "cross_site_request"
    status = 403


class OriginNotAllowed(RequestError):
    """A page of this origin may not use the API from a browser."""

    code = "origin_not_allowed"
    status = 403


class UploadTimeout(RequestError):
    """The client sent too little for too long."""

    code = "upload_timeout"
    status = 408


class ResultGone(RequestError):
    """The task is known, its result has been deleted."""

    code = "result_gone"
    status = 410


class UrlRefused(RequestError):
    """A URL that the SSRF policy refuses: not http(s), or not on the public internet."""

    code = "url_refused"
    status = 422


class UnsupportedParameter(RequestError):
    """A known parameter that this server or this model does not support."""

    code = "unsupported_parameter"
    status = 400


class ModelNotFound(RequestError):
    """No pool or served model has this name."""

    code = "model_not_found"
    status = 404


class TranscriptionFailed(AsrError):
    """The awaited task failed after its retries."""

    code = "transcription_failed"
    status = 500


class TranscriptionRestarted(AsrError):
    """A later attempt produced text that contradicts what was already streamed."""

    code = "transcription_restarted"
    status = 500


class TranscriptionTimeout(AsrError):
    """The task takes longer than a request may wait; the client may repeat the request."""

    code = "transcription_timeout"
    status = 504

    @classmethod
    def after(cls, seconds: float) -> TranscriptionTimeout:
        return cls(
            f"There is no transcript after {seconds:g} s, the most that a request waits. The same "
            "request again joins the run; what takes hours is for /api/v1/asr/submit.",
            retry_after_seconds=1,
        )


class UnsupportedMediaType(RequestError):
    """This route does not accept this media type."""

    code = "unsupported_media_type"
    status = 415


class EncodedBody(RequestError):
    """Compressed bodies are refused: audio barely compresses, and decompression bombs do."""

    code = "unsupported_content_encoding"
    status = 415


class SpoolFull(DependencyError):
    """The uploads in flight fill the spool; they leave it within seconds."""

    code = "spool_full"


class ProbeUnavailable(DependencyError):
    """The probe could not run; the audio may be fine."""

    code = "probe_unavailable"
