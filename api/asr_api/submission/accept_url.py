"""Accepts a URL instead of audio: 202 at once, the courier fetches it asynchronously."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

import uuid_utils
from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model
from starlette.requests import Request

from asr_api.egress.target import OutboundUrl
from asr_api.submission.accept_audio import Caller, find_known, require_room, tell_submitted
from asr_api.submission.intake import Intake
from asr_api.submission.options import SUBMIT_FIELDS, SubmitOptions
from asr_api.submission.schema import json_field
from asr_api.submission.validate import check_url, submit_options, with_unheeded
from asr_api.uploads.upload import body_chunks
from asr_core.errors import InvalidOption, UploadTooLarge
from asr_core.queue import Submission
from asr_core.task import NewTask
from asr_core.text_limits import URL, WORD

BODY_MAX_BYTES = 64 * 1024


class _UrlBody(BaseModel):
    """Where a recording is, and what to do with it: the form's fields, as JSON."""

    model_config = ConfigDict(extra="forbid")

    url: str = Field(
        max_length=URL.characters,
        description=f"http or https, on the public internet; {URL.words}",
        examples=["https://example.com/talks/monday.mp3"],
    )

    def fields(self) -> list[tuple[str, str]]:
        """As the form would have brought them."""
        sent = [(name, getattr(self, name)) for name in SUBMIT_FIELDS]
        return [
            (name, str(one))
            for name, value in sent
            for one in (value if isinstance(value, list) else [value])
            if one is not None
        ]


UrlSubmit = create_model(
    "UrlSubmit",
    __base__=_UrlBody,
    __doc__=_UrlBody.__doc__,
    **{name: json_field(field) for name, field in SUBMIT_FIELDS.items()},  # type: ignore[call-overload]
)


def is_json(request: Request) -> bool:
    """Whether the body is JSON, and so names a URL."""
    content_type = request.headers.get("content-type", "").partition(";")[0]
    return content_type.strip().lower() == "application/json"


async def accept_url(request: Request, intake: Intake, caller: Caller) -> Submission:
    """Accept a URL. Raises the errors of options and queue, and UrlRefused for what is certain
    before DNS; the courier checks again.
    """
    body = await _read(request, intake.settings.upload_idle_seconds)
    settings = intake.settings
    options = submit_options(body.fields(), settings)
    options = await with_unheeded(intake.connection, options, settings)
    url = check_url(body.url, settings, param="url")
    await intake.ensure_prepared()
    await require_room(intake, caller)
    fingerprint = options.fingerprint(hashlib.sha256(f"url:{url}".encode()).hexdigest())
    submission = await find_known(intake, caller, fingerprint)
    if submission is None:
        submission = await _accept_new(intake, caller, url, options, fingerprint)
    return replace(submission, options_ignored=options.ignored)


async def _accept_new(
    intake: Intake,
    caller: Caller,
    url: str,
    options: SubmitOptions,
    fingerprint: str,
) -> Submission:
    task = NewTask(
        task_id=str(uuid_utils.uuid7()),
        pool=options.pool,
        lane=options.lane,
        tenant=caller.tenant,
        filename=OutboundUrl.parse(url).filename,
        bytes=0,
        duration_seconds=0,
        options=options.task,
        webhook=options.webhook,
        source_url=url,
        fingerprint=fingerprint,
        idempotency_key=caller.idempotency_key,
        options_ignored=options.ignored,
    )
    submission = await intake.producer.submit(task)
    if submission.task_id == task.task_id:
        intake.metrics.tasks_submitted.labels(lane=task.lane.value).inc()
        tell_submitted(task)
    return submission


async def _read(request: Request, idle_seconds: float) -> _UrlBody:
    content = bytearray()
    async for chunk in body_chunks(request, idle_seconds):
        content += chunk
        if len(content) > BODY_MAX_BYTES:
            raise UploadTooLarge(f"A JSON body may have at most {BODY_MAX_BYTES} bytes.")
    return read_submit(bytes(content))


def read_submit(content: bytes) -> _UrlBody:
    """The body of a submit in JSON. Raises InvalidOption."""
    try:
        return UrlSubmit.model_validate_json(content)
    except ValidationError as error:
        problem: Any = error.errors(include_url=False, include_input=False)[0]
        name = ".".join(str(part) for part in problem["loc"])[: WORD.characters] or None
        raise InvalidOption(f"{name or 'The body'}: {problem['msg']}.", param=name) from None
