"""The task's hash in Redis, as text, to and from the task model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from asr_core.options import TaskOptions
from asr_core.task import NewTask, Task, TaskError


def to_hash(task: NewTask) -> dict[str, str]:
    """The fields that `submit` writes; the script adds state and times."""
    fields = task.model_dump(mode="json", exclude={"duration_seconds", "options"})
    fields["duration_ms"] = round(task.duration_seconds * 1000)
    fields["options"] = task.options.record()
    if not task.source_url:
        del fields["source_url"]
    if not task.partials:
        del fields["partials"]
    fields["options_ignored"] = ",".join(task.options_ignored)
    if not task.options_ignored:
        del fields["options_ignored"]
    return {name: str(value) for name, value in fields.items()}


def pairs(flat: Sequence[str]) -> dict[str, str]:
    """HGETALL as scripts reply it: a flat list of names and values."""
    return dict(zip(flat[::2], flat[1::2], strict=True))


def _seconds(fields: Mapping[str, str], name: str) -> float | None:
    return int(fields[name]) / 1000 if fields.get(name) else None


def from_hash(fields: Mapping[str, str]) -> Task:
    """A task from its hash."""
    error = None
    if fields.get("error_code"):
        error = TaskError(code=fields["error_code"], message=fields.get("error_message", ""))
    return Task.model_validate(
        {
            **fields,
            "options_ignored": [n for n in fields.get("options_ignored", "").split(",") if n],
            "options": TaskOptions.from_record(fields.get("options", "")),
            "duration_seconds": int(fields["duration_ms"]) / 1000,
            "created_at": _seconds(fields, "created_at"),
            "queued_at": _seconds(fields, "queued_at"),
            "started_at": _seconds(fields, "started_at"),
            "finished_at": _seconds(fields, "finished_at"),
            "audio_deleted_at": _seconds(fields, "audio_deleted_at"),
            "error": error,
        }
    )
