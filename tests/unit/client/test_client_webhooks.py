"""What `standardwebhooks` signs, as the courier does with it, the client verifies."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from standardwebhooks import Webhook

from asr_platform import InvalidArgument, WebhookRejected, verify_webhook

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
BODY = json.dumps(
    {
        "type": "task.failed",
        "timestamp": "2026-05-01T12:00:00.250000Z",
        "data": {
            "task_id": "t1",
            "state": "failed",
            "error": {"code": "unreadable_audio", "message": "schlecht"},
            "links": {"result": "/r", "events": "/e", "audio": "/a"},
        },
    }
)


def call(*secrets: str, body: str = BODY, age_seconds: float = 0) -> dict[str, str]:
    at = datetime.now(UTC) - timedelta(seconds=age_seconds)
    signatures = " ".join(Webhook(secret).sign("id-1", at, body) for secret in secrets)
    return {
        "Webhook-Id": "id-1",
        "Webhook-Timestamp": str(int(at.timestamp())),
        "Webhook-Signature": signatures,
    }


@pytest.mark.parametrize("body", [BODY, BODY.encode()])
def test_a_signed_call_is_read_also_while_the_secret_changes(body: Any) -> None:
    message = verify_webhook(body, call(OTHER, SECRET), SECRET)
    assert (message.id, message.type, message.task_id) == ("id-1", "task.failed", "t1")
    assert message.data.error.code == "unreadable_audio"  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("body", "signed", "changed", "told"),
    [
        (BODY, {"secret": OTHER}, {}, "no signature"),
        (BODY + " ", {}, {}, "no signature"),
        (BODY, {}, {"Webhook-Id": "id-2"}, "no signature"),
        (BODY, None, {}, "no signature"),
        (BODY, {}, {"Webhook-Signature": "v1,ü v2"}, "no signature"),
        (BODY, {"age_seconds": 400}, {}, "last 300 s"),
        (BODY, {"age_seconds": -400}, {}, "last 300 s"),
        ("{}", {"body": "{}"}, {}, "cannot be read"),
    ],
)
def test_other_calls_are_rejected(
    body: str, signed: dict[str, Any] | None, changed: dict[str, str], told: str
) -> None:
    headers = {}
    if signed is not None:
        headers = {**call(signed.pop("secret", SECRET), **signed), **changed}
    with pytest.raises(WebhookRejected, match=told):
        verify_webhook(body, headers, SECRET)


def test_a_secret_that_is_none_is_told_without_showing_it() -> None:
    with pytest.raises(InvalidArgument, match="whsec_") as raised:
        verify_webhook(BODY, call(SECRET), "pässword")
    assert "pässword" not in str(raised.value)
