"""One recording from a URL into the spool, within limits on size and time."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime

import httpcore

from asr_api.courier.egress import Egress, header
from asr_api.courier.errors import (
    FetchRejected,
    FetchSilent,
    FetchTooLarge,
    FetchTooSlow,
    FetchUnavailable,
    UrlNotFound,
)
from asr_api.courier.target import Target
from asr_api.courier.verdict import retry_after_seconds
from asr_api.spool import SpoolFile

MAX_REDIRECTS = 5
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_PASSING = frozenset({408, 425, 429})


@dataclass(frozen=True)
class DownloadLimits:
    """`idle_seconds` is the longest silence, `total_seconds` the whole with its redirects."""

    max_bytes: int
    idle_seconds: float
    total_seconds: float


async def download(egress: Egress, url: str, file: SpoolFile, limits: DownloadLimits) -> None:
    """Fetch `url` into `file`, which is then on the disk. Raises UrlRefused, SpoolFull and the
    errors of this package.
    """
    try:
        async with asyncio.timeout(limits.total_seconds):
            await _follow(egress, Target.parse(url), file, limits)
    except TimeoutError:
        raise FetchTooSlow(
            f"The recording was not there whole within {limits.total_seconds:g} seconds."
        ) from None
    except httpcore.TimeoutException:
        raise FetchSilent(f"The server was silent for {limits.idle_seconds:g} seconds.") from None
    except httpcore.NetworkError:
        raise FetchUnavailable("The server cannot be reached, or the connection broke.") from None
    except httpcore.ProtocolError:
        raise FetchUnavailable("The server broke off, or does not speak HTTP.") from None
    await file.flush()


async def _follow(egress: Egress, target: Target, file: SpoolFile, limits: DownloadLimits) -> None:
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
    if status >= 500 or status in _PASSING:
        asked = retry_after_seconds(header(response, "retry-after"), datetime.now(UTC))
        raise FetchUnavailable(
            f"The server answered {status}.", retry_after_seconds=round(asked) or None
        )
    if status != 200:
        raise FetchRejected(f"The server answered {status}, not with a recording.")
    if header(response, "content-encoding") not in (None, "", "identity"):
        raise FetchRejected("The server sent the recording compressed, unasked.")


async def _receive(response: httpcore.Response, file: SpoolFile, limits: DownloadLimits) -> None:
    announced = header(response, "content-length") or ""
    if announced.isdecimal() and int(announced) > limits.max_bytes:
        raise _too_large(limits)
    async for chunk in response.aiter_stream():
        if file.size + len(chunk) > limits.max_bytes:
            raise _too_large(limits)
        await file.write(chunk)


def _too_large(limits: DownloadLimits) -> FetchTooLarge:
    return FetchTooLarge(f"The recording is larger than the {limits.max_bytes} bytes allowed.")
