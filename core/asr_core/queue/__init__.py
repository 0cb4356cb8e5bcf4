"""The queue: a Redis Stream with a consumer group, and small Lua scripts around it.

The only room that speaks to Redis. Every change of more than one key is one script, idempotent on
(task_id, token); the task's hash is the truth, stream entries carry ids only.
"""

from asr_core.queue.backlog import Backlog, BacklogReader, LaneBacklog, StatsBucket, Totals
from asr_core.queue.connection import RedisConnection
from asr_core.queue.consumer import Claim, Consumer, Failure, Finish
from asr_core.queue.lease import LeaseKeeper
from asr_core.queue.outcome import Outcome
from asr_core.queue.producer import DeadLetter, DeadLetterPage, HistoryPage, Producer, Submission
from asr_core.queue.sweeping import Loss, Strays, Sweeping
from asr_core.queue.upkeep import Reconciled, Upkeep
from asr_core.queue.watch import TaskChange, TaskWatcher
from asr_core.queue.workers import WorkerRecord

__all__ = [
    "Backlog",
    "BacklogReader",
    "Claim",
    "Consumer",
    "DeadLetter",
    "DeadLetterPage",
    "Failure",
    "Finish",
    "HistoryPage",
    "LaneBacklog",
    "LeaseKeeper",
    "Loss",
    "Outcome",
    "Producer",
    "Reconciled",
    "RedisConnection",
    "StatsBucket",
    "Strays",
    "Submission",
    "Sweeping",
    "TaskChange",
    "TaskWatcher",
    "Totals",
    "Upkeep",
    "WorkerRecord",
]
