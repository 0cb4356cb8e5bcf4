"""What the server says, read by a client that is older or newer than it."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from asr_platform import models, status, webhooks
from asr_platform.models import Event, Model, Task

# What is said where an older server says nothing; elsewhere nothing, zero or no.
SAID = {
    ("QueueStatus", "signal"): "ok",
    ("QueueStatus", "trusted"): True,
    ("ServedModel", "object"): "model",
    ("ServedModels", "object"): "list",
}


KINDS = [
    each
    for module in (models, status, webhooks)
    for each in vars(module).values()
    if isinstance(each, type) and issubclass(each, Model) and each.__module__ == module.__name__
]


def nothing(value: Any) -> bool:
    """Zero, empty, no, None, or made of nothing else."""
    if isinstance(value, Model):
        return all(map(nothing, value.model_dump().values()))
    return not value if not isinstance(value, dict) else all(map(nothing, value.values()))


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_what_an_older_server_leaves_out_is_nothing(kind: type[Model]) -> None:
    for name, field in kind.model_fields.items():
        if field.is_required():
            continue
        default = field.get_default(call_default_factory=True)  # type: ignore[call-arg]
        expected = SAID.get((kind.__name__, name))
        assert default == expected if expected is not None else nothing(default), name


@pytest.mark.parametrize("state", ["completed", "failed", "cancelled", "queued", "unheard-of"])
def test_a_task_and_its_last_event_say_whether_it_has_ended(state: str) -> None:
    ended = state in ("completed", "failed", "cancelled")
    assert Task(task_id="t", status=state).ended is ended
    assert Event(event="state", status=state).ended is ended
    assert Event(event="deleted", status=state).ended


def test_what_a_newer_server_says_is_kept_and_nothing_can_be_changed() -> None:
    task = Task.model_validate({"task_id": "t", "status": "queued", "mood": "good"})
    assert task.model_dump()["mood"] == "good"
    with pytest.raises(ValidationError):
        task.status = "completed"  # type: ignore[misc]


def test_whatever_stands_for_a_task_has_its_id() -> None:
    task = Task(task_id="t", status="queued")
    assert models.task_id_of(task) == models.task_id_of("t") == "t"
