"""The queue: a Redis Stream with a consumer group, and small Lua scripts around it.

The only room that speaks to Redis. Every change of more than one key is one script, idempotent on
(task_id, token); the task's hash is the truth, stream entries carry ids only.
"""

from asr_core.queue.api_key_store import ApiKeyStore
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
from asr_core.queue.fetching import Fetch, Fetching
from asr_core.queue.lease import LeaseKeeper
from asr_core.queue.models import ServedModel, list_models
from asr_core.queue.orphan_index import Loss, OrphanedBlobs, OrphanIndex
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
from asr_core.queue.reconciler import QueueReconciler, Reconciled
from asr_core.queue.starting import require_permissions
from asr_core.queue.tenants import RateLimit, Tenants, TenantUsage
from asr_core.queue.waiters import PartialTranscript, Waiter, WaiterRegistry
from asr_core.queue.watch import TaskChange, TaskWatcher
from asr_core.queue.workers import WorkerRecord

__all__ = [
    "ApiKeyStore",
    "Backlog",
    "BacklogReader",
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
    "Fetching",
    "Finish",
    "HistoryPage",
    "LaneBacklog",
    "LeaseKeeper",
    "Loss",
    "OrphanIndex",
    "OrphanedBlobs",
    "Outbox",
    "OutboxDepth",
    "Outcome",
    "PartialTranscript",
    "Producer",
    "QueueReconciler",
    "RateLimit",
    "Reconciled",
    "RedisConnection",
    "ServedModel",
    "StatsBucket",
    "Submission",
    "TaskChange",
    "TaskWatcher",
    "TenantUsage",
    "Tenants",
    "Totals",
    "TryOutcome",
    "Waiter",
    "WaiterRegistry",
    "Webhook",
    "WorkerRecord",
    "bucket_seconds",
    "list_models",
    "read_eviction",
    "require_permissions",
]
