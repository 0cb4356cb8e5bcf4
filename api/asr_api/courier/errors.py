"""Why a recording could not be fetched; part of the error tree of `asr_core.errors`.

RequestError
└── UrlRefused (asr_api.errors)         url_refused        by its text alone
PermanentTaskError
├── UrlNotFound                         url_not_found      404 or 410
├── FetchRejected                       fetch_rejected     another reply that will not change
├── FetchTooLarge                       too_large
└── FetchTooSlow                        fetch_timeout      not whole within the time allowed
TransientTaskError
├── FetchUnavailable                    fetch_unavailable  no connection, for whatever reason; 5xx,
│                                                          408, 429, cut off
├── FetchSilent                         fetch_silent       the server fell silent
├── FetchTrickles                       fetch_too_slow     fewer bytes than the least rate
└── FetchBroken                         fetch_broken       an error of our own
"""

from __future__ import annotations

from asr_core.errors import PermanentTaskError, TransientTaskError


class UrlNotFound(PermanentTaskError):
    """The server answered 404 or 410."""

    code = "url_not_found"


class FetchRejected(PermanentTaskError):
    """The server answered, but not with a recording."""

    code = "fetch_rejected"


class FetchTooLarge(PermanentTaskError):
    """The recording exceeds the upload limit."""

    code = "too_large"


class FetchTooSlow(PermanentTaskError):
    """The download exceeded its total time limit."""

    code = "fetch_timeout"


class FetchUnavailable(TransientTaskError):
    """The server cannot be reached, or cannot answer now."""

    code = "fetch_unavailable"


class FetchTrickles(TransientTaskError):
    """The server sends more slowly than the minimum rate."""

    code = "fetch_too_slow"


class FetchBroken(TransientTaskError):
    """Unexpected error of ours: retried like any transient error."""

    code = "fetch_broken"


class FetchSilent(TransientTaskError):
    """The server stopped sending."""

    code = "fetch_silent"
