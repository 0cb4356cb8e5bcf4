"""Submitting: a recording as a form, or the URL of one as JSON; every try carries the same key."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from typing import Any

import httpx

from asr_platform.errors import InvalidArgument
from asr_platform.models import Accepted
from asr_platform.options import form_fields, json_fields
from asr_platform.replies import read
from asr_platform.session import Session
from asr_platform.uploads import AudioSource, Form, Upload

_PATH = "/api/v1/asr/submit"
# The reply comes once the server has stored all of it: gigabytes take minutes.
_READ_SECONDS = 600.0
_IDEMPOTENCY_KEY = re.compile(r"[\x21-\x7e]{1,255}")


async def submit_recording(
    session: Session,
    audio: AudioSource,
    filename: str | None,
    idempotency_key: str | None,
    options: Mapping[str, Any],
) -> Accepted:
    """Upload it, from its beginning in each try."""
    fields = form_fields(options)
    headers = _headers(idempotency_key)
    upload = await Upload.of(audio, filename)

    async def send() -> httpx.Response:
        async with upload.opened() as (file, size):
            form = Form(file, upload.name, size, fields)
            return await session.send(
                "POST",
                _PATH,
                read_seconds=_READ_SECONDS,
                content=form.body(),
                headers={**headers, **form.headers},
            )

    return read(await session.insist(send), Accepted)


async def submit_url(
    session: Session, url: str, idempotency_key: str | None, options: Mapping[str, Any]
) -> Accepted:
    """Have the server fetch it."""
    body = {**json_fields(options), "url": url}
    headers = _headers(idempotency_key)
    return read(await session.request("POST", _PATH, json=body, headers=headers), Accepted)


def _headers(idempotency_key: str | None) -> dict[str, str]:
    key = idempotency_key or str(uuid.uuid4())
    if not _IDEMPOTENCY_KEY.fullmatch(key):
        raise InvalidArgument(
            f"an idempotency key is 1 to 255 printable ASCII characters, no spaces: {key[:64]!r}"
        )
    return {"Idempotency-Key": key}
