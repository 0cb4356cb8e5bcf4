"""Accepts audio: spool, probe, store, queue, in this order; 202 only after all four."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

import uuid_utils
from starlette.requests import Request

from asr_api.submission.intake import Intake
from asr_api.submission.options import FILE_FIELDS, TEXT_FIELDS, SubmitOptions
from asr_api.submission.validate import submit_options, with_unheeded
from asr_api.uploads.multipart import FormReader
from asr_api.uploads.spool import SpoolFile
from asr_api.uploads.upload import Upload, UploadLimits, receive_upload
from asr_core.errors import AsrError, DependencyError, IdempotencyConflict, TaskNotFound
from asr_core.process.logs import business_event, get_logger
from asr_core.queue import Submission, Waiter
from asr_core.task import NewTask, audio_path


@dataclass(frozen=True)
class Caller:
    """The submitting tenant and its idempotency key ('' for none). A `waiter` stays connected for
    the result, and joins an equal run that is in progress.
    """

    tenant: str
    idempotency_key: str = ""
    waiter: Waiter | None = None


@dataclass(frozen=True)
class Form:
    """The fields of a route's form and how its text fields are parsed, which is all in which the
    routes that accept audio differ. With `any_field`, unknown fields are passed on too.
    """

    file_fields: tuple[str, ...]
    text_fields: tuple[str, ...]
    read: Callable[[Sequence[tuple[str, str]]], Awaitable[SubmitOptions]]
    any_field: bool = False


def submit_form(intake: Intake) -> Form:
    """The form of `/api/v1/asr/submit`."""

    async def read(fields: Sequence[tuple[str, str]]) -> SubmitOptions:
        options = submit_options(fields, intake.settings)
        return await with_unheeded(intake.connection, options, intake.settings)

    return Form(FILE_FIELDS, TEXT_FIELDS, read)


async def accept(request: Request, intake: Intake, caller: Caller, form: Form) -> Submission:
    """Accept one form with audio. Raises the errors of upload, options, probe, store and queue.

    Redis is checked before the body is read and again before the store is written, so that an
    outage or a full Redis wastes neither the upload nor store space.
    """
    settings = intake.settings
    reader = FormReader(
        request.headers.get("content-type", ""),
        file_fields=form.file_fields,
        text_fields=form.text_fields,
        any_field=form.any_field,
    )
    await intake.ensure_prepared()
    await require_room(intake, caller)
    limits = UploadLimits(settings.max_upload_bytes, settings.upload_idle_seconds)
    async with intake.spool.file(caller.tenant) as file:
        upload = await receive_upload(request, reader, file, limits)
        intake.metrics.upload_bytes.inc(upload.bytes)
        options = await form.read(upload.fields)
        if caller.waiter is not None:
            caller = replace(caller, waiter=replace(caller.waiter, partials=options.partials))
        submission = await find_known(intake, caller, options.fingerprint(upload.sha256))
        if submission is None:
            submission = await _accept_new(intake, caller, file, upload, options)
        return replace(submission, options_ignored=options.ignored)


async def require_room(intake: Intake, caller: Caller) -> None:
    """A known idempotency key is answered even if Redis accepts no new work."""
    key = caller.idempotency_key
    if not key or await intake.producer.find_idempotent(caller.tenant, key) is None:
        await intake.takes_work()
        if caller.waiter is None:  # a waiter may join a run, so its limits are checked at submit
            await intake.producer.require_room(caller.tenant)


async def find_known(intake: Intake, caller: Caller, fingerprint: str) -> Submission | None:
    """The task of this idempotency key, or the run that this caller joins; saves a second upload
    to the store. The submit script decides atomically.
    """
    if caller.waiter is not None:
        joined = await intake.waiters.join(caller.tenant, fingerprint, caller.waiter)
        if joined is not None:
            return await _known(intake, caller, joined)
    if caller.idempotency_key:
        return await _find_replay(intake, caller, fingerprint)
    await intake.takes_work()
    return None


async def _find_replay(intake: Intake, caller: Caller, fingerprint: str) -> Submission | None:
    found = await intake.producer.find_idempotent(caller.tenant, caller.idempotency_key)
    if found is None:
        return None
    task_id, known_fingerprint = found
    if known_fingerprint != fingerprint:
        raise IdempotencyConflict(
            f"Idempotency key {caller.idempotency_key!r} was used with another body: {task_id}.",
            param="Idempotency-Key",
        )
    return await _known(intake, caller, task_id)


async def _known(intake: Intake, caller: Caller, task_id: str) -> Submission | None:
    try:
        task = await intake.producer.get(task_id, caller.tenant)
    except TaskNotFound:
        return None
    position = await intake.producer.position(task)
    return Submission(task_id=task_id, created=False, state=task.state, position=position or 0)


async def _accept_new(
    intake: Intake, caller: Caller, file: SpoolFile, upload: Upload, options: SubmitOptions
) -> Submission:
    report = await intake.probes.probe(file.path, options.task.track, tenant=caller.tenant)
    task = NewTask(
        task_id=str(uuid_utils.uuid7()),
        pool=options.pool,
        lane=options.lane,
        tenant=caller.tenant,
        filename=upload.filename,
        content_type=report.content_type,
        bytes=upload.bytes,
        duration_seconds=report.duration_seconds,
        options=options.task,
        webhook=options.webhook,
        fingerprint=options.fingerprint(upload.sha256),
        idempotency_key=caller.idempotency_key,
        partials=options.partials,
        options_ignored=options.ignored,
    )
    await intake.store.put_file(audio_path(task.task_id), file.path)
    submission = await _queue(intake, task, caller.waiter)
    if submission.task_id != task.task_id:
        await _discard_audio(intake, task.task_id)
        return submission
    intake.metrics.tasks_submitted.labels(lane=task.lane.value).inc()
    tell_submitted(task)
    return replace(submission, created=True)  # after a lost reply our own task looks known


def tell_submitted(task: NewTask) -> None:
    business_event(
        "task_submitted",
        task_id=task.task_id,
        tenant=task.tenant,
        pool=task.pool,
        lane=task.lane.value,
        bytes=task.bytes,
        duration_seconds=task.duration_seconds,
    )


async def _queue(intake: Intake, task: NewTask, waiter: Waiter | None) -> Submission:
    """Submit, and delete the audio if the task is certainly not queued.

    If Redis fails mid-call, the task is looked up. If that fails too, the audio stays: a queued
    task without audio would be a loss, whereas the sweep removes an orphaned blob.
    """
    try:
        return await intake.producer.submit(task, waiter)
    except DependencyError:
        try:
            known = await intake.producer.get(task.task_id)
        except TaskNotFound:
            await _discard_audio(intake, task.task_id)
        except AsrError:
            get_logger("asr_api.intake").warning("audio_left_to_sweep", task_id=task.task_id)
        else:
            return Submission(task_id=known.task_id, created=True, state=known.state, position=0)
        raise
    except Exception:
        await _discard_audio(intake, task.task_id)
        raise


async def _discard_audio(intake: Intake, task_id: str) -> None:
    with suppress(AsrError):
        await intake.store.delete(audio_path(task_id))
