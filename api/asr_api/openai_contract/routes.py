"""`/v1/audio/transcriptions`, `/v1/audio/translations` and `/v1/models`."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from fastapi import APIRouter, Request, Response
from starlette.requests import ClientDisconnect

from asr_api.background.waiter_leases import WaiterLease
from asr_api.dependencies import (
    ConnectionOf,
    IntakeOf,
    ReaderOf,
    SettingsOf,
    TenantOf,
    WaiterLeasesOf,
)
from asr_api.errors import (
    ModelNotFound,
    TranscriptionFailed,
    TranscriptionTimeout,
    UnsupportedParameter,
)
from asr_api.http.error_examples import SUBMIT_ERRORS, documented_errors
from asr_api.http.error_reply import OPENAI_BAD_REQUESTS, openai_reply_to
from asr_api.http.model_notice import notice_header
from asr_api.openai_contract.leased_reply import LeasedReply, pieces_of
from asr_api.openai_contract.model_names import ids, named
from asr_api.openai_contract.models import (
    ModelBody,
    ModelListBody,
    choose,
    served_by_pool,
)
from asr_api.openai_contract.outcome import transcript_after
from asr_api.openai_contract.parameters import (
    FILE_FIELDS,
    TRANSCRIPTIONS,
    TRANSLATIONS,
    Endpoint,
    TranscriptionRequest,
    heed,
    heeded,
    read_parameters,
)
from asr_api.openai_contract.replies import reply_body
from asr_api.openai_contract.schema import IGNORED_HEADER, replies, request_body
from asr_api.openai_contract.stream import EVENT_STREAM, HEADERS, events
from asr_api.submission.accept_audio import Caller, Form, accept
from asr_api.submission.intake import Intake
from asr_api.submission.options import SubmitOptions
from asr_api.tasks.results import TaskReader
from asr_core.errors import (
    IdempotencyConflict,
    ModelCannotTranslate,
    PermanentTaskError,
    QueueUnavailable,
    RequestError,
)
from asr_core.task import Lane, Task

router = APIRouter(tags=["openai"])

_NOT_HERE = (*OPENAI_BAD_REQUESTS, IdempotencyConflict, ModelCannotTranslate)
_ERRORS = (
    *(e for e in SUBMIT_ERRORS if e not in _NOT_HERE),
    UnsupportedParameter,
    ModelNotFound,
    TranscriptionFailed,
    TranscriptionTimeout,
)


@router.post(
    "/v1/audio/transcriptions",
    operation_id="transcribe",
    summary="Transcribe a recording while the caller waits",
    response_class=Response,
    responses={200: replies(TRANSCRIPTIONS), **documented_errors(*_ERRORS)},
    openapi_extra={"requestBody": request_body(TRANSCRIPTIONS)},
)
async def transcribe(
    request: Request,
    intake: IntakeOf,
    reader: ReaderOf,
    leases: WaiterLeasesOf,
    tenant: TenantOf,
) -> Response:
    """OpenAI's contract. Equal requests at the same time share one run; a run without waiting
    clients is cancelled.
    """
    call = _Call(TRANSCRIPTIONS, request, intake, reader, tenant)
    return await _answer(call, leases.new())


@router.post(
    "/v1/audio/translations",
    operation_id="translate",
    summary="Translate a recording to English while the caller waits",
    response_class=Response,
    responses={
        200: replies(TRANSLATIONS),
        **documented_errors(*_ERRORS, ModelCannotTranslate),
    },
    openapi_extra={"requestBody": request_body(TRANSLATIONS)},
)
async def translate(
    request: Request,
    intake: IntakeOf,
    reader: ReaderOf,
    leases: WaiterLeasesOf,
    tenant: TenantOf,
) -> Response:
    """OpenAI's contract, of pools whose model translates. All else is as for transcriptions, but
    for streams.
    """
    return await _answer(_Call(TRANSLATIONS, request, intake, reader, tenant), leases.new())


@dataclass(frozen=True)
class _Call:
    """One request to an endpoint."""

    endpoint: Endpoint
    request: Request
    intake: Intake
    reader: TaskReader
    tenant: str


async def _answer(call: _Call, lease: WaiterLease) -> Response:
    """The reply, which releases the lease; errors in OpenAI's form."""
    try:
        return await _run(call, lease)
    except ClientDisconnect:
        lease.release(answered=False)
        return Response(status_code=499)
    except (RequestError, PermanentTaskError) as error:
        lease.release(answered=False)
        return openai_reply_to(error)
    except BaseException:
        lease.release(answered=False)
        raise


async def _run(call: _Call, lease: WaiterLease) -> LeasedReply:
    parsed: TranscriptionRequest | None = None
    notice: dict[str, str] = {}
    intake, reader, tenant = call.intake, call.reader, call.tenant
    settings = intake.settings
    strict = settings.openai_strict

    async def read(fields: Sequence[tuple[str, str]]) -> SubmitOptions:
        nonlocal parsed, notice
        parsed = read_parameters(fields, call.endpoint, strict=strict)
        chosen = await choose(intake.connection, settings, parsed.model, parsed.options)
        for served in chosen.served:
            notice |= notice_header(served.model_id)
        parsed = heed(parsed, chosen.served, strict=strict)
        return SubmitOptions(
            chosen.pool,
            Lane.INTERACTIVE,
            parsed.options.model_copy(update={"itn": chosen.writes_numbers}),
            partials=parsed.stream,
            ignored=parsed.ignored,
        )

    waiter = lease.waiter(settings.deserted_seconds)
    form = Form(FILE_FIELDS, call.endpoint.text_fields, read, any_field=not strict)
    submission = await accept(call.request, intake, Caller(tenant, waiter=waiter), form)
    assert parsed is not None  # an accepted form has been read
    lease.attach(submission.task_id)
    if parsed.stream:
        pieces = events(reader, intake.waiters, settings, submission.task_id, tenant, parsed)
        headers = {**HEADERS, **_ignored_header(parsed), **notice}
        return LeasedReply(pieces, lease, media_type=EVENT_STREAM, headers=headers)
    task = await _ended(call, submission.task_id, settings.transcription_wait_seconds)
    transcript = await transcript_after(reader, task, parsed)
    parsed = heeded(parsed, transcript.options_ignored, strict=strict)
    # Hours of words take seconds: keep them off the event loop.
    body, media_type = await asyncio.to_thread(reply_body, transcript, parsed)
    data = body.encode()
    notice = notice_header(transcript.model)
    headers = {"Content-Length": str(len(data)), **_ignored_header(parsed), **notice}
    return LeasedReply(pieces_of(data), lease, media_type=media_type, headers=headers)


def _ignored_header(parsed: TranscriptionRequest) -> dict[str, str]:
    """The names of ignored fields; no header if there are none."""
    return {IGNORED_HEADER: ", ".join(parsed.ignored)} if parsed.ignored else {}


async def _ended(call: _Call, task_id: str, seconds: float) -> Task:
    """Raises TranscriptionTimeout, ClientDisconnect."""
    task = await call.reader.ended(call.request, task_id, call.tenant, seconds)
    if task.state.terminal:
        return task
    if await call.request.is_disconnected():  # not by the clock: timers may fire early
        raise ClientDisconnect
    raise TranscriptionTimeout.after(seconds)


@router.get(
    "/v1/models",
    response_model=ModelListBody,
    operation_id="models",
    summary="The names that `model` may have: pools, and the models that serve them",
    responses=documented_errors(QueueUnavailable),
)
async def models(
    connection: ConnectionOf, settings: SettingsOf, _tenant: TenantOf
) -> ModelListBody:
    """OpenAI's own names (`whisper-1` …) are understood, and are not listed."""
    by_pool = await served_by_pool(connection, settings.pools)
    aliases = settings.model_aliases
    names = ids(by_pool, aliases)
    return ModelListBody(
        data=[ModelBody.of(name, named(aliases.get(name, name), by_pool)) for name in names]
    )


@router.get(
    "/v1/models/{model:path}",
    response_model=ModelBody,
    operation_id="model",
    summary="One model",
    responses=documented_errors(ModelNotFound, QueueUnavailable),
)
async def model(
    model: str, connection: ConnectionOf, settings: SettingsOf, _tenant: TenantOf
) -> ModelBody:
    """Any name that `model` may have."""
    return ModelBody.of(model, await choose(connection, settings, model))
