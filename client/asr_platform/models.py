"""Tasks and transcripts as the API describes them.

A newer server may send more than is declared here: unknown fields are kept as attributes, and words
such as `status` are text, not enumerations, so that a new one is no error. An older server may send
less: only what identifies a thing is required. Times are in UTC, durations are seconds.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

ENDED = frozenset({"completed", "failed", "cancelled"})


class Model(BaseModel):
    """Base of everything that the server sends; `model_dump()` gives back all of it."""

    model_config = ConfigDict(frozen=True, extra="allow", protected_namespaces=())


class Word(Model):
    """One word with its place in the recording; `confidence` is from 0 to 1, where it is known."""

    text: str
    start_seconds: float
    end_seconds: float
    confidence: float | None = None


class Segment(Model):
    """A stretch of speech in one channel; `channel` is None where channels were mixed.

    `speaker` is `A` for the first who speaks, `B` for the next; None where speakers were not
    separated. `words` is empty where the model gives no word times. The last four are Whisper's own
    measures of its decoding; None for other models.
    """

    start_seconds: float
    end_seconds: float
    text: str
    channel: int | None = None
    speaker: str | None = None
    language: str | None = None
    emotion: str | None = None
    events: tuple[str, ...] = ()
    words: tuple[Word, ...] = ()
    avg_logprob: float | None = None
    no_speech_prob: float | None = None
    compression_ratio: float | None = None
    temperature: float | None = None


class TranscriptWarning(Model):
    """A part of the recording that could not be read and is missing from the text.

    `code` is `damaged`: from start to end; `cut_off`: the file ends at `start_seconds`, by its
    header at `end_seconds`; `part_unreadable`: of several recordings in one file the one after
    `start_seconds`.
    """

    code: str
    message: str
    start_seconds: float
    end_seconds: float | None = None


class Transcript(Model):
    """The result of a task. `task_id` is set by this client, so that a transcript can be given
    wherever a task is asked for.

    `options_ignored`: asked for, but not supported by the model. `speech_seconds`: how long
    somebody speaks, in whatever channel; None where nobody looked.
    """

    text: str
    language: str | None = None
    duration_seconds: float = 0.0
    speech_seconds: float | None = None
    segments: tuple[Segment, ...] = ()
    model: str = ""
    engine: str = ""
    device: str = ""
    options_ignored: tuple[str, ...] = ()
    warnings: tuple[TranscriptWarning, ...] = ()
    task_id: str = ""


class Failure(Model):
    """Why a task failed: `code` for programs, `message` for people."""

    code: str
    message: str


class Links(Model):
    """Where the server has more about a task, as paths on it."""

    result: str = ""
    events: str = ""
    audio: str = ""


class Accepted(Model):
    """The task is durably queued; `position` is its place, from 1, among your own that wait in its
    lane, None where it does not wait.
    """

    task_id: str
    status: str
    position: int | None = None
    options_ignored: tuple[str, ...] = ()
    links: Links = Links()


class Task(Model):
    """A task, and once it is completed its transcript as `result`.

    `status` is `fetching`, `queued`, `processing`, `completed`, `failed` or `cancelled`;
    `progress` is from 0 to 1; `attempt` counts how often a worker has begun it; `notice` is a
    warning about the model: the bundled one knows no human voice. In a history `result`,
    `position`, `model` and `notice` are not filled in.
    """

    task_id: str
    status: str
    progress: float = 0.0
    pool: str = ""
    lane: str = ""
    filename: str = ""
    content_type: str = ""
    bytes: int = 0
    duration_seconds: float = 0.0
    options: dict[str, Any] = Field(default_factory=dict)
    options_ignored: tuple[str, ...] = ()
    attempt: int = 0
    created_at: datetime | None = None
    queued_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    error: Failure | None = None
    audio_available: bool = False
    links: Links = Links()
    position: int | None = None
    model: str | None = None
    notice: str | None = None
    result: Transcript | None = None

    @property
    def ended(self) -> bool:
        """Whether it is completed, failed or cancelled."""
        return self.status in ENDED


class Retention(Model):
    """How long this server keeps what has ended; None: without that limit."""

    max_recordings: int | None = None
    recordings_min_age_seconds: float = 0.0
    recordings_max_age_seconds: float | None = None
    results_max_age_seconds: float | None = None


class HistoryPage(Model):
    """Some tasks, newest first. It may hold fewer than asked for; the end is where `next_cursor`
    is None.
    """

    tasks: tuple[Task, ...] = ()
    retention: Retention = Retention()
    next_cursor: str | None = None


class Event(Model):
    """A change of a task: `event` is `state`, `progress` or `deleted`; `id` is where to resume.

    `status` is that of the task, or `deleted`. `position` is set while it is queued.
    """

    event: str
    status: str
    id: str = ""
    task_id: str = ""
    progress: float = 0.0
    attempt: int = 0
    position: int | None = None
    error: Failure | None = None

    @property
    def ended(self) -> bool:
        """Whether this is the task's last event."""
        return self.event == "deleted" or self.status in ENDED


TaskRef = str | Accepted | Task | Transcript | Event


def task_id_of(task: TaskRef) -> str:
    """The id of what stands for a task."""
    return task if isinstance(task, str) else task.task_id
