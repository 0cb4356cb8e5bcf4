"""Body and headers of a webhook, in the format of https://www.standardwebhooks.com. Pure."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime

from standardwebhooks import Webhook as Signer

from asr_api.schemas.tasks import Links, utc
from asr_core.queue import Webhook


def body(webhook: Webhook, root: str) -> bytes:
    """Identical bytes on every attempt. No transcript, only links under the path `root`."""
    message = {
        "type": f"task.{webhook.state.value}",
        "timestamp": utc(webhook.at).isoformat().replace("+00:00", "Z"),
        "data": {
            "task_id": webhook.task_id,
            "state": webhook.state.value,
            "error": webhook.error.model_dump() if webhook.error else None,
            "links": Links.of(webhook.task_id, root).model_dump(),
        },
    }
    return json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode()


def headers(
    webhook: Webhook, content: bytes, *, secrets: Sequence[str], now: datetime
) -> dict[str, str]:
    """Id, time of this attempt, and one signature per secret."""
    text = content.decode()
    signatures = [Signer(secret).sign(webhook.webhook_id, now, text) for secret in secrets]
    return {
        "Content-Type": "application/json",
        "webhook-id": webhook.webhook_id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": " ".join(signatures),
    }
