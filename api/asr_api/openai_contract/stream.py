"""`stream=true`: server-sent events with text deltas, then the whole transcript.

Events: `openai.types.audio.transcription_stream_event`. An `{"error": …}` event ends a stream; the
client raises it as an exception.
"""

from __future__ import annotations

import json
import time
from collections.abc import AsyncGenerator
from typing import Any

from fastapi.sse import format_sse_event

from asr_api.errors import TranscriptionRestarted, TranscriptionTimeout
from asr_api.http.error_reply import error_body
from asr_api.openai_contract.outcome import transcript_after
from asr_api.openai_contract.parameters import TranscriptionRequest, heeded
from asr_api.openai_contract.replies import usage
from asr_api.settings.api import ApiSettings
from asr_api.tasks.changes import until_change
from asr_api.tasks.results import TaskReader
from asr_core.errors import AsrError, DependencyError
from asr_core.queue import WaiterRegistry
from asr_core.task import Task

EVENT_STREAM = "text/event-stream"
HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


class ReadText:
    """Tracks the text sent to one client across attempts. Pure."""

    def __init__(self) -> None:
        self.sent = ""

    def rest(self, text: str) -> str:
        """The part of `text` not sent yet, now marked as sent. Raises TranscriptionRestarted if
        `text` contradicts what was sent.
        """
        if self.sent.startswith(text):
            return ""
        if not text.startswith(self.sent):
            raise TranscriptionRestarted(
                "A worker was lost, and another one heard something else than was sent already."
            )
        rest = text[len(self.sent) :]
        self.sent = text
        return rest


class PartialText:
    """Partial transcript of the running attempt."""

    def __init__(self, waiters: WaiterRegistry, task_id: str) -> None:
        self._waiters = waiters
        self._task_id = task_id
        self._token = ""
        self._texts: list[str] = []

    async def read(self) -> str:
        partial = await self._waiters.read_partials(
            self._task_id, token=self._token, first=len(self._texts)
        )
        if partial.token != self._token:
            self._token, self._texts = partial.token, []
        self._texts += partial.texts
        return "".join(self._texts)


async def events(
    reader: TaskReader,
    waiters: WaiterRegistry,
    settings: ApiSettings,
    task_id: str,
    tenant: str,
    request: TranscriptionRequest,
) -> AsyncGenerator[bytes]:
    """All events of one stream. Errors are events, as the HTTP status has already been sent."""
    try:
        async for event in _events(reader, waiters, settings, task_id, tenant, request):
            yield event
    except AsrError as error:
        body = error_body(error.status, error.message, code=error.code, param=error.param)
        yield _event(body)


async def _events(
    reader: TaskReader,
    waiters: WaiterRegistry,
    settings: ApiSettings,
    task_id: str,
    tenant: str,
    request: TranscriptionRequest,
) -> AsyncGenerator[bytes]:
    text = ReadText()
    partial = PartialText(waiters, task_id)
    seconds = settings.transcription_wait_seconds
    end_at = time.monotonic() + seconds
    async with reader.watcher.watch(task_id) as changes:
        while (task := await _ended(reader, task_id, tenant)) is None:
            if time.monotonic() >= end_at:
                raise TranscriptionTimeout.after(seconds)
            try:
                if delta := text.rest(await partial.read()):
                    yield _delta(delta)
            except DependencyError:
                yield format_sse_event(comment="the queue is away")
            async for comment in until_change(changes, settings.events_heartbeat_seconds, end_at):
                yield comment
    transcript = await transcript_after(reader, task, request)
    heeded(request, transcript.options_ignored, strict=settings.openai_strict)
    if delta := text.rest(transcript.text):
        yield _delta(delta)
    yield _event(
        {"type": "transcript.text.done", "text": transcript.text, "usage": usage(transcript)}
    )


async def _ended(reader: TaskReader, task_id: str, tenant: str) -> Task | None:
    try:
        task = await reader.producer.get(task_id, tenant)
    except DependencyError:
        return None
    return task if task.state.terminal else None


def _delta(text: str) -> bytes:
    return _event({"type": "transcript.text.delta", "delta": text})


def _event(data: dict[str, Any]) -> bytes:
    return format_sse_event(data_str=json.dumps(data, ensure_ascii=False))
