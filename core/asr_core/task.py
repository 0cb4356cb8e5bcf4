"""The task: its states and record, as `asr:task:{id}` holds them."""

from __future__ import annotations

from enum import StrEnum
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from asr_core import text_limits as limits
from asr_core.errors import InvalidOption
from asr_core.options import TaskOptions

DEFAULT_POOL = "default"
DEFAULT_TENANT = "default"
POOL_PATTERN = r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"
TENANT_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"


class State(StrEnum):
    """`queued → processing → completed | failed | cancelled`, for a URL after `fetching`."""

    QUEUED = "queued"
    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    FETCHING = "fetching"  # last: event ids hold the place of a state

    @property
    def terminal(self) -> bool:
        return self in TERMINAL


TERMINAL = frozenset({State.COMPLETED, State.FAILED, State.CANCELLED})


class Lane(StrEnum):
    """Priority class, highest first."""

    INTERACTIVE = "interactive"
    NORMAL = "normal"
    BATCH = "batch"


class NewTask(BaseModel):
    """A task about to be submitted; its audio is already in the store under `audio/{task_id}`,
    unless it is to be fetched from `source_url`: then `bytes` and `duration_seconds` are 0 until
    that is done.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    task_id: str
    pool: str = Field(DEFAULT_POOL, pattern=POOL_PATTERN)
    lane: Lane = Lane.NORMAL
    tenant: str = Field(DEFAULT_TENANT, pattern=TENANT_PATTERN)
    filename: str = ""
    content_type: str = "application/octet-stream"
    bytes: int = Field(ge=0)
    duration_seconds: float = Field(ge=0)
    options: TaskOptions = TaskOptions()
    webhook: str = ""
    source_url: str = Field("", description="where the recording is still to be fetched from")
    fingerprint: str = Field(
        "", description="SHA-256 over audio and options; tells an idempotent replay from a conflict"
    )
    idempotency_key: str = ""
    partials: bool = Field(False, description="a client streams partial texts")
    options_ignored: tuple[str, ...] = Field(
        (), description="requested and known at submit to be unsupported; the caller's own names"
    )

    @model_validator(mode="after")
    def _texts_fit(self) -> Self:
        """The last gate, whichever way a task came. Raises InvalidOption."""
        for name, limit in _TEXTS.items():
            limit.check(name, getattr(self, name))
        for ignored in self.options_ignored[: limits.IGNORED_NAMES_MAX]:
            limits.IGNORED_NAME.check("options_ignored", ignored)
        if len(self.options_ignored) > limits.IGNORED_NAMES_MAX:
            raise InvalidOption("Too many unsupported options.")
        self.options.check_texts()
        return self


_TEXTS = {
    "task_id": limits.TASK_ID,
    "filename": limits.FILENAME,
    "content_type": limits.CONTENT_TYPE,
    "webhook": limits.URL,
    "source_url": limits.URL,
    "fingerprint": limits.FINGERPRINT,
    "idempotency_key": limits.IDEMPOTENCY_KEY,
}


class TaskError(BaseModel):
    """Why a task failed."""

    model_config = ConfigDict(frozen=True)

    code: str
    message: str


class Task(BaseModel):
    """A task as Redis holds it. Times are Unix seconds on Redis's clock."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    task_id: str
    state: State
    pool: str
    lane: Lane
    tenant: str
    filename: str
    content_type: str
    bytes: int
    duration_seconds: float
    options: TaskOptions
    attempt: int = 0
    crashes: int = 0
    solo_crashes: int = 0
    transient_failures: int = 0
    entry: str = ""
    owner: str = ""
    token: str = ""
    created_at: float
    queued_at: float
    started_at: float | None = None
    finished_at: float | None = None
    audio_deleted_at: float | None = None
    progress: float = Field(0.0, ge=0, le=1)
    worker: str = ""
    result: str = ""
    error: TaskError | None = None
    webhook: str = ""
    source_url: str = ""
    fetch_tries: int = 0
    fingerprint: str = ""
    idempotency_key: str = ""
    partials: bool = False
    options_ignored: tuple[str, ...] = ()


def audio_path(task_id: str) -> str:
    """Store path of the original file."""
    return f"audio/{task_id}"


def result_path(task_id: str, attempt: int) -> str:
    """Store path of an attempt's transcript."""
    return f"results/{task_id}/{attempt}.json"


def results_prefix(task_id: str) -> str:
    """Store prefix of all attempts' transcripts."""
    return f"results/{task_id}/"
