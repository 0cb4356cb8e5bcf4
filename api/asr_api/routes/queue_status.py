"""`GET /api/v1/asr/queue/status`."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from asr_api.dependencies import BacklogOf, ConnectionOf, PrincipalOf, SettingsOf
from asr_api.http.error_examples import documented_errors
from asr_api.routes.tenant_view import ViewOf
from asr_api.schemas.queue import QueueStatusBody
from asr_core.errors import InvalidOption, QueueUnavailable
from asr_core.queue import list_models
from asr_core.task import DEFAULT_POOL
from asr_core.text_limits import shortened

router = APIRouter(tags=["queue"])


@router.get(
    "/api/v1/asr/queue/status",
    response_model=QueueStatusBody,
    operation_id="queue_status",
    summary="Waiting and running tasks, and workers",
    responses=documented_errors(InvalidOption, QueueUnavailable),
)
async def queue_status(
    reader: BacklogOf,
    connection: ConnectionOf,
    settings: SettingsOf,
    principal: PrincipalOf,
    tenant: ViewOf,
    pool: Annotated[str, Query(description="one of the configured pools")] = DEFAULT_POOL,
) -> QueueStatusBody:
    """Counts are exact at one moment; when Redis cannot be reached this is a 503, never zeros. A
    key is told what its own tenant has there; the scope `admin` what all have, or one of them, and
    who works on it.
    """
    pools = settings.pools
    if pool not in pools:
        raise InvalidOption(
            f"Unknown pool {shortened(pool)}; there are: {', '.join(pools)}.", param="pool"
        )
    backlog = await reader.read(pool, tenant)
    workers = await reader.workers(pool)
    served = await list_models(connection, pool)
    return QueueStatusBody.of(backlog, workers, served, is_operator=principal.admin)
