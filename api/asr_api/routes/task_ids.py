"""The id of a task in a path. One that is longer than any is unknown, without a look into Redis."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path
from pydantic import AfterValidator

from asr_core.errors import TaskNotFound
from asr_core.text_limits import TASK_ID, shortened


def _of_known_length(task_id: str) -> str:
    if not TASK_ID.fits(task_id):
        raise TaskNotFound(f"there is no task {shortened(task_id)}")
    return task_id


TaskId = Annotated[
    str, Path(json_schema_extra={"maxLength": TASK_ID.characters}), AfterValidator(_of_known_length)
]
