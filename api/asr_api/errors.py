"""Errors that only HTTP knows, hung into the tree of `asr_core.errors`.

RequestError
├── MalformedUpload        400  the multipart body cannot be read
├── MalformedHost          400  no Host, several, or what is none
├── CrossSiteRequest       403  without keys: a page of another origin wants to change something
├── UploadTimeout          408  the client fell silent
├── ResultGone             410  the task is known, its result has been deleted
├── UrlRefused             422  a URL that is not called: not http, or it leads inward
├── UnsupportedParameter   400  a parameter that is known and cannot be served
├── ModelNotFound          404  no pool and no model of that name
├── HostNotAllowed         421  without keys: the server is called by a name that is not listed
├── UnsupportedMediaType   415  the request is not multipart/form-data
└── EncodedBody            415  the request is compressed
AsrError
├── TranscriptionFailed    500  the task someone waited for failed, after its retries
├── TranscriptionRestarted 500  a stream that cannot be gone on with
└── TranscriptionTimeout   504  the task someone waited for takes longer than that
DependencyError
└── SpoolFull              503  uploads in flight fill the local folder
"""

from __future__ import annotations

from asr_core.errors import AsrError, DependencyError, RequestError


class MalformedUpload(RequestError):
    """The multipart body breaks its own rules."""

    code = "malformed_upload"
    status = 400


class MalformedHost(RequestError):
    """The request does not say which host it is for (RFC 9112, section 3.2)."""

    code = "bad_request"
    status = 400


class HostNotAllowed(RequestError):
    """Without API keys: the server is called by a name that is not known to be its own."""

    code = "host_not_allowed"
    status = 421


class CrossSiteRequest(RequestError):
    """Without API keys: a page of another origin may not change anything."""

    code = "cross_site_request"
    status = 403


class UploadTimeout(RequestError):
    """The client sent nothing, or next to nothing, for too long."""

    code = "upload_timeout"
    status = 408


class ResultGone(RequestError):
    """The task is known, its result has been deleted."""

    code = "result_gone"
    status = 410


class UrlRefused(RequestError):
    """A URL that this platform does not call: it is no http(s) URL, or leads to where only it can
    reach.
    """

    code = "url_refused"
    status = 422


class UnsupportedParameter(RequestError):
    """A parameter that is known and cannot be served, by anyone or by this model."""

    code = "unsupported_parameter"
    status = 400


class ModelNotFound(RequestError):
    """No pool and no model that is served has this name."""

    code = "model_not_found"
    status = 404


class TranscriptionFailed(AsrError):
    """The task that someone waited for failed, and trying again has been done already."""

    code = "transcription_failed"
    status = 500


class TranscriptionRestarted(AsrError):
    """Another attempt said something else than what was sent of the first one."""

    code = "transcription_restarted"
    status = 500


class TranscriptionTimeout(AsrError):
    """The task takes longer than one request may wait; it may be asked for again."""

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
    """The request's body is of a type that this route does not read."""

    code = "unsupported_media_type"
    status = 415


class EncodedBody(RequestError):
    """The request's body is compressed; recordings are so already, and a bomb would be too."""

    code = "unsupported_content_encoding"
    status = 415


class SpoolFull(DependencyError):
    """The uploads in flight fill the local folder; they leave it within seconds."""

    code = "spool_full"
