"""What a webhook says, and what an answer to it means."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from standardwebhooks import Webhook as Verifier
from standardwebhooks import WebhookVerificationError

from asr_api.courier import message
from asr_api.courier.retry_policy import again, on_reply, retry_after_seconds
from asr_api.settings.courier import CourierSettings
from asr_core.queue import TryOutcome, Webhook
from asr_core.task import State, TaskError

SECRETS = (
    "whsec_" + "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "whsec_" + "C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
)
PAUSES = (5.0, 60.0)
NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)


def webhook(state: State = State.COMPLETED, error: TaskError | None = None) -> Webhook:
    return Webhook(
        webhook_id="msg_1", token="t", task_id="0199", state=state, url="https://example.com/h?k=v",
        destination="example.com", at=1_700_000_000.25, attempts=0, error=error,
    )  # fmt: skip


def test_a_webhook_is_verified_by_the_standards_own_library_with_either_secret() -> None:
    content = message.body(webhook(), "")
    headers = message.headers(webhook(), content, secrets=SECRETS, now=datetime.now(UTC))
    for secret in SECRETS:
        assert Verifier(secret).verify(content, headers)["type"] == "task.completed"
    with pytest.raises(WebhookVerificationError):
        Verifier(SECRETS[0]).verify(content + b" ", headers)


def test_a_webhook_tells_the_end_of_a_task_and_where_to_read_on() -> None:
    error = TaskError(code="empty_audio", message="No samples.")
    told = json.loads(message.body(webhook(State.FAILED, error), ""))
    assert told["type"] == "task.failed"
    assert told["timestamp"] == "2023-11-14T22:13:20.250000Z"
    assert told["data"]["error"] == {"code": "empty_audio", "message": "No samples."}
    assert told["data"]["links"]["result"] == "/api/v1/asr/result/0199"
    assert set(told["data"]) == {"task_id", "state", "error", "links"}


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (199, TryOutcome.RETRY), (299, TryOutcome.DONE), (300, TryOutcome.RETRY),
        (399, TryOutcome.RETRY), (499, TryOutcome.DEAD), (430, TryOutcome.DEAD),
        (200, TryOutcome.DONE), (204, TryOutcome.DONE), (301, TryOutcome.RETRY),
        (302, TryOutcome.RETRY), (400, TryOutcome.DEAD), (401, TryOutcome.DEAD),
        (404, TryOutcome.DEAD), (408, TryOutcome.RETRY), (410, TryOutcome.DEAD),
        (429, TryOutcome.RETRY), (500, TryOutcome.RETRY), (503, TryOutcome.RETRY),
    ],
)  # fmt: skip
def test_the_status_decides_what_becomes_of_a_webhook(status: int, outcome: TryOutcome) -> None:
    verdict = on_reply(status, attempts=0, pauses=PAUSES, chance=0.5, requested_seconds=0)
    assert verdict.outcome is outcome


def test_pauses_grow_vary_and_end() -> None:
    def delay(attempts: int, chance: float, requested_seconds: float = 0) -> float:
        return on_reply(
            500,
            attempts=attempts,
            pauses=PAUSES,
            chance=chance,
            requested_seconds=requested_seconds,
        ).delay_seconds

    assert (delay(0, 0.0), delay(0, 1.0)) == pytest.approx((4.0, 6.0))
    assert delay(1, 0.5) == pytest.approx(60.0)
    unanswered = again("no answer", attempts=0, pauses=(0.1,), chance=0.5)
    assert unanswered.delay_seconds == pytest.approx(0.1)
    assert delay(0, 0.5, requested_seconds=90) == 90
    last = on_reply(500, attempts=2, pauses=PAUSES, chance=0.5, requested_seconds=90)
    assert last.outcome is TryOutcome.DEAD
    assert "3 tries" in last.reason


def test_retry_after_is_seconds_or_a_date_and_never_more_than_a_day() -> None:
    assert retry_after_seconds("120", NOW) == 120
    assert retry_after_seconds("Fri, 01 May 2026 12:01:30 GMT", NOW) == 90
    assert retry_after_seconds("Fri, 01 May 2020 12:01:30 GMT", NOW) == 0
    assert retry_after_seconds("9" * 400, NOW) in (0, timedelta(days=1).total_seconds())
    for nothing in (None, "", "soon", "-5"):
        assert retry_after_seconds(nothing, NOW) == 0


@pytest.mark.parametrize("secret", ["abc", "whsec_abc", "whsec_" + "!" * 40, "whsec_QUJD"])
def test_a_secret_that_is_none_is_refused_without_being_shown(secret: str) -> None:
    with pytest.raises(ValueError, match="whsec_ and 24 to 64 bytes") as refused:
        CourierSettings(_env_file=None, webhook_secret=secret)  # type: ignore[call-arg]
    assert secret == "abc" or secret not in str(refused.value)
