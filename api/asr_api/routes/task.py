"""`DELETE /api/v1/asr/task/{task_id}`."""

from __future__ import annotations

from fastapi import APIRouter

from asr_api.dependencies import ProducerOf, StoreOf, TenantOf
from asr_api.http.error_examples import documented_errors
from asr_api.routes.task_ids import TaskId
from asr_api.schemas.tasks import DeletedBody
from asr_core.errors import DependencyError, QueueUnavailable, StoreUnavailable, TaskNotFound
from asr_core.process.logs import business_event, get_logger
from asr_core.task import audio_path, results_prefix

router = APIRouter(tags=["tasks"])


@router.delete(
    "/api/v1/asr/task/{task_id}",
    response_model=DeletedBody,
    operation_id="delete",
    summary="Cancel a task if it runs, and delete its record, audio and results",
    responses=documented_errors(TaskNotFound, QueueUnavailable, StoreUnavailable),
)
async def delete(
    task_id: TaskId, producer: ProducerOf, store: StoreOf, tenant: TenantOf
) -> DeletedBody:
    """The record is deleted first: from then on no worker can start or finish the task, and no
    client can read it.

    A 503 from the store means that the task is deleted, but not all of its files: the sweep
    removes them.
    """
    task = await producer.delete(task_id, tenant)
    business_event("task_deleted", task_id=task.task_id, tenant=tenant)
    try:
        await store.delete(audio_path(task.task_id))
        await store.delete_prefix(results_prefix(task.task_id))
    except DependencyError as error:
        get_logger("asr_api.task").warning(
            "files_left_to_sweep", task_id=task.task_id, reason=error.message
        )
        raise StoreUnavailable(
            f"Task {task_id} is deleted, but not its files: the store is unavailable. A sweep "
            "removes them later."
        ) from error
    return DeletedBody(task_id=task.task_id)
