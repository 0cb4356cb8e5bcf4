"""`POST /api/v1/asr/retry/{task_id}`."""

from __future__ import annotations

from fastapi import APIRouter

from asr_api.dependencies import ProducerOf, RootOf, StoreOf, TenantOf
from asr_api.http.error_examples import documented_errors
from asr_api.routes.audio import recording_size
from asr_api.routes.task_ids import TaskId
from asr_api.schemas.tasks import Accepted, Links
from asr_core.errors import (
    AudioGone,
    QueueFull,
    QueueUnavailable,
    StateConflict,
    StoreUnavailable,
    TaskNotFound,
)
from asr_core.process.logs import business_event
from asr_core.task import State

RETRIED_STATES = frozenset({State.FAILED, State.CANCELLED})

router = APIRouter(tags=["tasks"])


@router.post(
    "/api/v1/asr/retry/{task_id}",
    status_code=202,
    response_model=Accepted,
    operation_id="retry",
    summary="Queue a failed or cancelled task again",
    responses=documented_errors(
        TaskNotFound, StateConflict, AudioGone, QueueFull, QueueUnavailable, StoreUnavailable
    ),
)
async def retry(
    task_id: TaskId, producer: ProducerOf, store: StoreOf, tenant: TenantOf, root: RootOf
) -> Accepted:
    """409 for a task in any other state; 410 when its audio is no longer there."""
    known = await producer.get(task_id, tenant)
    if known.state in RETRIED_STATES and not known.source_url:
        await recording_size(store, known)
    # Retention may delete it just now: what it marks first, the script refuses with AudioGone.
    task = await producer.retry(task_id, tenant)
    business_event("task_retried", task_id=task_id, tenant=tenant)
    position = await producer.position(task)
    return Accepted(
        task_id=task.task_id,
        status=task.state,
        position=position,
        options_ignored=list(task.options_ignored),
        links=Links.of(task.task_id, root),
    )
