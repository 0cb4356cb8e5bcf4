"""The rules of the queue, the same for every program."""

from __future__ import annotations

from pydantic import Field

from asr_core.settings.base import CommaSeparated, Settings
from asr_core.task import DEFAULT_POOL


class QueueSettings(Settings):
    """The queue's rules, the same for every program."""

    pools: CommaSeparated[str] = (DEFAULT_POOL,)
    queue_cap: int = Field(100_000, ge=1, description="waiting tasks per pool before 429")
    lease_seconds: float = Field(30.0, gt=0)
    tenant_window: int = Field(
        16, ge=1, description="undelivered entries per tenant, pool and lane"
    )
    retry_limit: int = Field(5, ge=0, description="transient failures before a task fails")
    retry_backoff_seconds: float = Field(2.0, gt=0, description="first backoff; doubles each time")
    idempotency_hours: float = Field(24.0, gt=0)


class TenantSettings(Settings):
    """What a tenant may take where `asr tenants set` says nothing else. 0: without that limit."""

    tenant_rate_per_minute: int = Field(0, ge=0, description="requests, over all pods")
    tenant_open_tasks: int = Field(0, ge=0, description="tasks that have not ended yet")
    tenant_stored_bytes: int = Field(0, ge=0, description="recordings in the store")
