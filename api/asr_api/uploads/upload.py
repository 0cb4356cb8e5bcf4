"""Streams one upload into the spool: counted, timed and hashed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

from starlette.requests import ClientDisconnect, Request

from asr_api.errors import EncodedBody, MalformedUpload, UploadTimeout
from asr_api.http.filenames import clean_filename
from asr_api.uploads.multipart import FIELD_MAX_BYTES, FormReader
from asr_api.uploads.spool import SpoolFile
from asr_core.errors import UploadTooLarge

FORM_ALLOWANCE_BYTES = 2 * FIELD_MAX_BYTES
PROGRESS_BYTES = 4 * 1024


@dataclass(frozen=True)
class UploadLimits:
    """`idle_seconds` is the time limit for each 4 KiB."""

    max_bytes: int
    idle_seconds: float


@dataclass(frozen=True)
class Upload:
    """A received form: text fields in order, and the file's name, hash and size."""

    fields: tuple[tuple[str, str], ...]
    filename: str
    sha256: str
    bytes: int


async def receive_upload(
    request: Request, reader: FormReader, file: SpoolFile, limits: UploadLimits
) -> Upload:
    """Read the form to its end into `file`.

    Raises UploadTooLarge at the first excess byte, whatever Content-Length said; UploadTimeout;
    MalformedUpload; InvalidOption; SpoolFull; ClientDisconnect.
    """
    _check_announced_size(request, limits)
    total_bytes = 0
    async for chunk in body_chunks(request, limits.idle_seconds):
        total_bytes += len(chunk)
        audio = reader.feed(chunk)
        if file.size + len(audio) > limits.max_bytes:
            raise _too_large(limits)
        await file.write(audio)
        if total_bytes - file.size > FORM_ALLOWANCE_BYTES:
            raise UploadTooLarge(
                f"The form's fields beside the audio exceed {FORM_ALLOWANCE_BYTES} bytes."
            )
    reader.close()
    await file.flush()
    filename = clean_filename(reader.filename or "")
    return Upload(
        fields=tuple(reader.fields), filename=filename, sha256=file.sha256(), bytes=file.size
    )


def _check_announced_size(request: Request, limits: UploadLimits) -> None:
    announced = request.headers.get("content-length", "0").lstrip("0") or "0"
    if not announced.isdecimal():
        return
    most = limits.max_bytes + FORM_ALLOWANCE_BYTES
    if len(announced) > len(str(most)) or int(announced) > most:
        raise _too_large(limits)


def _too_large(limits: UploadLimits) -> UploadTooLarge:
    return UploadTooLarge(
        f"The audio is larger than {limits.max_bytes} bytes, the maximum.", param="audio"
    )


def refuse_encoded(request: Request) -> None:
    """Raises EncodedBody for any Content-Encoding that is one."""
    encoding = request.headers.get("content-encoding", "").strip()
    if encoding.lower() not in ("", "identity"):
        raise EncodedBody(
            f"A body with Content-Encoding {encoding[:64]!r} is not accepted: send it unencoded, "
            "without that header.",
            param="content-encoding",
        )


async def body_chunks(request: Request, idle_seconds: float) -> AsyncIterator[bytes]:
    """The body's chunks; the timeout is reset only every 4 KiB, so trickling does not extend it.
    Raises UploadTimeout, ClientDisconnect; EncodedBody before it reads.
    """
    refuse_encoded(request)
    deadline = time.monotonic() + idle_seconds
    since_deadline_bytes = 0
    while True:
        try:
            async with asyncio.timeout(max(0.0, deadline - time.monotonic())):
                message = await request.receive()
        except TimeoutError:
            raise UploadTimeout(
                f"The client sent less than {PROGRESS_BYTES} bytes within {idle_seconds:g} seconds."
            ) from None
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        if message["type"] != "http.request":
            raise MalformedUpload(f"The server passed on an unexpected {message['type']!r}.")
        chunk: bytes = message.get("body", b"")
        since_deadline_bytes += len(chunk)
        if since_deadline_bytes >= PROGRESS_BYTES:
            deadline = time.monotonic() + idle_seconds
            since_deadline_bytes = 0
        yield chunk
        if not message.get("more_body", False):
            return
