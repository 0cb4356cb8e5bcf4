"""The Python client of asr-platform: submit recordings, wait, read transcripts.

    from asr_platform import Client

    with Client("http://127.0.0.1:8000") as client:
        print(client.transcribe("talk.mp3", language="en").text)

`AsyncClient` is the same for asyncio. Beneath are httpx and pydantic, and nothing else: this room
imports no other room of the product, and speaks to the server by its public API alone.
"""

from asr_platform.aio import AsyncClient, ResultFormat
from asr_platform.blocking import Client
from asr_platform.errors import (
    AccessDenied,
    ClientError,
    InvalidArgument,
    NotFound,
    RateLimited,
    RequestFailed,
    ServerUnreachable,
    TaskNotCompleted,
    WaitTimeout,
    WebhookRejected,
    WrongAddress,
)
from asr_platform.models import (
    Accepted,
    Event,
    Failure,
    HistoryPage,
    Segment,
    Task,
    Transcript,
    TranscriptWarning,
    Word,
)
from asr_platform.options import SubmitOptions
from asr_platform.status import Health, QueueStatus, ServedModel, Stats, Usage
from asr_platform.uploads import AudioSource
from asr_platform.version import __version__
from asr_platform.webhooks import WebhookMessage, verify_webhook

__all__ = [
    "Accepted",
    "AccessDenied",
    "AsyncClient",
    "AudioSource",
    "Client",
    "ClientError",
    "Event",
    "Failure",
    "Health",
    "HistoryPage",
    "InvalidArgument",
    "NotFound",
    "QueueStatus",
    "RateLimited",
    "RequestFailed",
    "ResultFormat",
    "Segment",
    "ServedModel",
    "ServerUnreachable",
    "Stats",
    "SubmitOptions",
    "Task",
    "TaskNotCompleted",
    "Transcript",
    "TranscriptWarning",
    "Usage",
    "WaitTimeout",
    "WebhookMessage",
    "WebhookRejected",
    "Word",
    "WrongAddress",
    "__version__",
    "verify_webhook",
]
