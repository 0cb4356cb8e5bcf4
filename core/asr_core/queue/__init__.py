"""The queue: a Redis Stream with a consumer group, and small Lua scripts around it.

The only room that speaks to Redis. Every change of more than one key is one script, idempotent on
(task_id, token); the task's hash is the truth, stream entries carry ids only.
"""

from asr_core.queue.backlog import (
    Backlog,
    BacklogReader,
    LaneBacklog,
    StatsBucket,
    Totals,
    bucket_seconds,
)
from asr_core.queue.connection import RedisConnection
from asr_core.queue.consumer import Claim, Consumer, Failure, Finish
from asr_core.queue.eviction import Eviction, EvictionWatch, read_eviction
from asr_core.queue.fetching import Fetch, Fetching, FetchTrouble
from asr_core.queue.key_ring import KeyRing
from asr_core.queue.lease import LeaseKeeper
from asr_core.queue.models import ServedModel, list_models
from asr_core.queue.orphan_index import Loss, Strays, Sweeping
from asr_core.queue.outbox import (
    DeadWebhook,
    DeadWebhookPage,
    Outbox,
    OutboxDepth,
    TryOutcome,
    Webhook,
)
from asr_core.queue.outcome import Outcome
from asr_core.queue.producer import DeadLetter, DeadLetterPage, HistoryPage, Producer, Submission
from asr_core.queue.reconciler import Reconciled, Upkeep
from asr_core.queue.starting import require_permissions
from asr_core.queue.tenants import Tenants, TenantStanding, Ticket
from asr_core.queue.waiters import Callers, Partials, Waiter
from asr_core.queue.watch import TaskChange, TaskWatcher
from asr_core.queue.workers import WorkerRecord

__all__ = [
    "Backlog",
    "BacklogReader",
    "Callers",
    "Claim",
    "Consumer",
    "DeadLetter",
    "DeadLetterPage",
    "DeadWebhook",
    "DeadWebhookPage",
    "Eviction",
    "EvictionWatch",
    "Failure",
    "Fetch",
    "FetchTrouble",
    "Fetching",
    "Finish",
    "HistoryPage",
    "KeyRing",
    "LaneBacklog",
    "LeaseKeeper",
    "Loss",
    "Outbox",
    "OutboxDepth",
    "Outcome",
    "Partials",
    "Producer",
    "Reconciled",
    "RedisConnection",
    "ServedModel",
    "StatsBucket",
    "Strays",
    "Submission",
    "Sweeping",
    "TaskChange",
    "TaskWatcher",
    "TenantStanding",
    "Tenants",
    "Ticket",
    "Totals",
    "TryOutcome",
    "Upkeep",
    "Waiter",
    "Webhook",
    "WorkerRecord",
    "bucket_seconds",
    "list_models",
    "read_eviction",
    "require_permissions",
]
