"""Verifying a webhook: https://github.com/standard-webhooks/standard-webhooks, spec, "Verifying".

message = verify_webhook(body, request.headers, secret="whsec_…")
if message.type == "task.completed":
    transcript = client.transcript(message.task_id)
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import time
from collections.abc import Mapping
from datetime import datetime

from pydantic import ValidationError

from asr_platform.errors import InvalidArgument, WebhookRejected
from asr_platform.models import Failure, Links, Model

TOLERANCE_SECONDS = 300.0
_PREFIX = "whsec_"


class WebhookData(Model):
    """The task that has ended, in which state, and why it failed."""

    task_id: str
    state: str
    error: Failure | None = None
    links: Links = Links()


class WebhookMessage(Model):
    """`type` is `task.completed`, `task.failed` or `task.cancelled`. `id` is the same on every try:
    keep those you have seen.
    """

    type: str
    timestamp: datetime
    data: WebhookData
    id: str = ""

    @property
    def task_id(self) -> str:
        """Of the task that has ended."""
        return self.data.task_id


def verify_webhook(
    body: bytes | str,
    headers: Mapping[str, str],
    secret: str,
    *,
    tolerance_seconds: float = TOLERANCE_SECONDS,
) -> WebhookMessage:
    """The message of a webhook's body, as it came, if one of its signatures is of this secret.

    Raises WebhookRejected, and InvalidArgument for a secret that is none.
    """
    content = body.encode() if isinstance(body, str) else body
    given = {name.lower(): value for name, value in headers.items()}
    message_id, timestamp, signatures = (
        given.get(f"webhook-{name}", "") for name in ("id", "timestamp", "signature")
    )
    signed = b".".join((message_id.encode(), timestamp.encode(), content))
    right = b"v1," + base64.b64encode(hmac.digest(_key(secret), signed, hashlib.sha256))
    if not any(hmac.compare_digest(right, one.encode()) for one in signatures.split()):
        raise WebhookRejected("the webhook carries no signature of this secret")
    _check_age(timestamp, tolerance_seconds)
    try:
        message = WebhookMessage.model_validate_json(content)
    except ValidationError:
        raise WebhookRejected("the webhook is signed, but its body cannot be read") from None
    return message.model_copy(update={"id": message_id})


def _check_age(timestamp: str, tolerance_seconds: float) -> None:
    """Refuses replays of a recorded call."""
    if not timestamp.isascii() or not timestamp.isdecimal():
        raise WebhookRejected("the webhook's timestamp is not a number of seconds")
    if abs(time.time() - int(timestamp)) > tolerance_seconds:
        raise WebhookRejected(
            f"the webhook is not of the last {tolerance_seconds:g} s; are both clocks right?"
        )


def _key(secret: str) -> bytes:
    try:
        return base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        raise InvalidArgument("the webhook's secret is not whsec_ and base64") from None
