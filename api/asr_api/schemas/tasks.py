"""The bodies of replies. Times are ISO 8601 in UTC, durations are seconds."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import BaseModel, Field

from asr_core.models.entry import notice_of
from asr_core.options import TaskOptions
from asr_core.queue import Submission
from asr_core.result import Transcript
from asr_core.settings.store import RetentionSettings
from asr_core.task import Lane, State, Task

_IGNORED: Any = Field(
    [], description="requested options that the pool's model does not support, as known at submit"
)


class ErrorDetail(BaseModel):
    """`code` is stable and meant for programs, `message` for people."""

    message: str
    type: str = Field(
        description="class of the error, such as `invalid_request_error` or `server_error`"
    )
    param: str | None = Field(None, description="the field, header or parameter that was wrong")
    code: str


class ErrorBody(BaseModel):
    """The body of every error."""

    error: ErrorDetail


class Links(BaseModel):
    """Where to go on, as paths on this server, with the prefix under which a proxy shows it."""

    result: str
    events: str
    audio: str

    @classmethod
    def of(cls, task_id: str, root: str) -> Links:
        return cls(
            result=f"{root}/api/v1/asr/result/{task_id}",
            events=f"{root}/api/v1/asr/events/{task_id}",
            audio=f"{root}/api/v1/asr/audio/{task_id}",
        )


class Accepted(BaseModel):
    """The task is durably queued."""

    task_id: str
    status: State
    position: int | None = Field(
        description="one-based position among your waiting tasks of the lane; null: not waiting"
    )
    options_ignored: list[str] = _IGNORED
    links: Links

    @classmethod
    def of(cls, submission: Submission, root: str) -> Accepted:
        return cls(
            task_id=submission.task_id,
            status=submission.state,
            position=submission.position or None,
            options_ignored=list(submission.options_ignored),
            links=Links.of(submission.task_id, root),
        )


class Failure(BaseModel):
    """Why a task failed."""

    code: str
    message: str


class TaskBody(BaseModel):
    """A task without its transcript."""

    task_id: str
    status: State
    progress: float = Field(ge=0, le=1)
    pool: str
    lane: Lane
    filename: str
    content_type: str
    bytes: int
    duration_seconds: float
    options: TaskOptions
    options_ignored: list[str] = _IGNORED
    attempt: int = Field(description="how often a worker has begun it")
    created_at: datetime
    queued_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    error: Failure | None
    audio_available: bool = Field(
        description="false before its recording is fetched, and once it has been deleted"
    )
    links: Links

    @classmethod
    def of(cls, task: Task, root: str) -> TaskBody:
        return cls(**_task_fields(task, root))


class ResultBody(TaskBody):
    """A task with its transcript, once there is one."""

    position: int | None = Field(
        description="one-based position among your waiting tasks of the lane; null: not waiting"
    )
    model: str | None = Field(description="the model that produced the transcript")
    notice: str | None = Field(
        None, description="a warning about the model: the bundled one knows no human voice"
    )
    result: Transcript | None

    @classmethod
    def with_transcript(
        cls, task: Task, root: str, *, position: int | None, transcript: Transcript | None
    ) -> ResultBody:
        model = transcript.model if transcript else None
        return cls(
            **_task_fields(task, root),
            position=position,
            model=model,
            notice=notice_of(model) if model else None,
            result=transcript,
        )


class RetentionBody(BaseModel):
    """How long what is finished stays, as this API was told. null: without that limit."""

    max_recordings: int | None = Field(
        description="newest recordings of completed and cancelled tasks that are kept; 0: none"
    )
    recordings_min_age_seconds: float = Field(
        description="from the end of a task; during this time `max_recordings` does not apply to it"
    )
    recordings_max_age_seconds: float | None
    results_max_age_seconds: float | None = Field(description="after which a task is deleted")

    @classmethod
    def of(cls, settings: RetentionSettings) -> RetentionBody:
        keeps_none = settings.max_recordings == 0
        return cls(
            max_recordings=settings.max_recordings,
            recordings_min_age_seconds=0
            if keeps_none
            else settings.recordings_min_age_minutes * 60,
            recordings_max_age_seconds=_seconds(settings.recordings_max_age_days),
            results_max_age_seconds=_seconds(settings.results_max_age_days),
        )


def _seconds(days: float | None) -> float | None:
    return None if days is None else days * 86_400


class HistoryBody(BaseModel):
    """One page, newest first."""

    tasks: list[TaskBody]
    retention: RetentionBody
    next_cursor: str | None = Field(
        description="pass it as `cursor` for the next page; null at the end"
    )


class DeletedBody(BaseModel):
    """Record, audio and results are gone."""

    task_id: str
    status: Literal["deleted"] = "deleted"


def utc(unix_seconds: float) -> datetime:
    """Unix seconds as a time in UTC."""
    return datetime.fromtimestamp(unix_seconds, UTC)


def _utc_or_none(unix_seconds: float | None) -> datetime | None:
    return None if unix_seconds is None else utc(unix_seconds)


def _task_fields(task: Task, root: str) -> dict[str, object]:
    failure = Failure(code=task.error.code, message=task.error.message) if task.error else None
    return {
        "task_id": task.task_id,
        "status": task.state,
        "progress": 1.0 if task.state is State.COMPLETED else task.progress,
        "pool": task.pool,
        "lane": task.lane,
        "filename": task.filename,
        "content_type": task.content_type,
        "bytes": task.bytes,
        "duration_seconds": task.duration_seconds,
        "options": task.options,
        "options_ignored": list(task.options_ignored),
        "attempt": task.attempt,
        "created_at": utc(task.created_at),
        "queued_at": utc(task.queued_at),
        "started_at": _utc_or_none(task.started_at),
        "finished_at": _utc_or_none(task.finished_at),
        "error": failure,
        "audio_available": task.audio_deleted_at is None and not task.source_url,
        "links": Links.of(task.task_id, root),
    }
