"""Downloads one recording from a URL into the spool, within size and time limits."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime

import httpcore

from asr_api.courier.errors import (
    FetchRejected,
    FetchSilent,
    FetchTooLarge,
    FetchTooSlow,
    FetchTrickles,
    FetchUnavailable,
    UrlNotFound,
)
from asr_api.courier.retry_policy import retry_after_seconds
from asr_api.egress.http_client import Egress, header
from asr_api.egress.target import OutboundUrl
from asr_api.uploads.spool import SpoolFile

MAX_REDIRECTS = 5
RETRY_AFTER_MAX_SECONDS = 3600  # beyond this the task should be submitted again
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_TRANSIENT = frozenset({408, 425, 429})
# One message for unknown names, private addresses, closed ports and ports that are not allowed:
# the submitter must not learn what exists on the internal network.
NO_CONNECTION = (
    "No connection to the server came about: its name has no address, or none on the public "
    "internet, or nothing answers there."
)


@dataclass(frozen=True)
class DownloadLimits:
    """`idle_seconds` is the longest silence, `total_seconds` the whole with its redirects. Each
    window of `window_seconds` must bring `window_bytes`, unless the body ends.
    """

    max_bytes: int
    idle_seconds: float
    total_seconds: float
    window_seconds: float
    window_bytes: int


async def download(egress: Egress, url: str, file: SpoolFile, limits: DownloadLimits) -> None:
    """Fetch `url` into `file`, which is then on the disk. Raises UrlRefused, SpoolFull and the
    errors of this package.
    """
    try:
        async with asyncio.timeout(limits.total_seconds):
            await _follow(egress, OutboundUrl.parse(url), file, limits)
    except TimeoutError:
        raise FetchTooSlow(
            f"The recording was not there whole within {limits.total_seconds:g} seconds."
        ) from None
    except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
        raise FetchUnavailable(NO_CONNECTION) from error
    except httpcore.TimeoutException:
        raise FetchSilent(f"The server was silent for {limits.idle_seconds:g} seconds.") from None
    except httpcore.NetworkError:
        raise FetchUnavailable("The connection broke.") from None
    except httpcore.ProtocolError:
        raise FetchUnavailable("The server broke off, or does not speak HTTP.") from None
    await file.flush()


async def _follow(
    egress: Egress, target: OutboundUrl, file: SpoolFile, limits: DownloadLimits
) -> None:
    for _ in range(MAX_REDIRECTS + 1):
        async with egress.send(
            "GET", target, headers={"Accept": "*/*"}, idle_seconds=limits.idle_seconds
        ) as response:
            location = header(response, "location")
            if response.status not in _REDIRECTS or location is None:
                _require_ok(response)
                await _receive(response, file, limits)
                return
        target = target.joined(location)
    raise FetchRejected(f"The URL redirects more than {MAX_REDIRECTS} times.")


def _require_ok(response: httpcore.Response) -> None:
    status = response.status
    if status in (404, 410):
        raise UrlNotFound(f"The server answered {status}: there is no such recording.")
    if status >= 500 or status in _TRANSIENT:
        requested_seconds = retry_after_seconds(header(response, "retry-after"), datetime.now(UTC))
        raise FetchUnavailable(
            f"The server answered {status}.",
            retry_after_seconds=round(min(requested_seconds, RETRY_AFTER_MAX_SECONDS)) or None,
        )
    if status != 200:
        raise FetchRejected(f"The server answered {status}, not with a recording.")
    if header(response, "content-encoding") not in (None, "", "identity"):
        raise FetchRejected("The server sent the recording compressed, unasked.")


async def _receive(response: httpcore.Response, file: SpoolFile, limits: DownloadLimits) -> None:
    announced = header(response, "content-length") or ""
    if announced.isdecimal() and int(announced) > limits.max_bytes:
        raise _too_large(limits)
    clock = asyncio.get_running_loop().time
    in_window_bytes = 0
    try:
        async with asyncio.timeout(limits.window_seconds) as window:
            async for chunk in response.aiter_stream():
                if file.size + len(chunk) > limits.max_bytes:
                    raise _too_large(limits)
                await file.write(chunk)
                in_window_bytes += len(chunk)
                if in_window_bytes >= limits.window_bytes:
                    window.reschedule(clock() + limits.window_seconds)
                    in_window_bytes = 0
    except TimeoutError:
        raise FetchTrickles(
            f"The server sent less than {limits.window_bytes} bytes within "
            f"{limits.window_seconds:g} seconds."
        ) from None


def _too_large(limits: DownloadLimits) -> FetchTooLarge:
    return FetchTooLarge(f"The recording is larger than the {limits.max_bytes} bytes allowed.")
