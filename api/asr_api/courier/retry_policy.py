"""Retry policy of webhooks: done, retry or dead letter, from the receiver's reply. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from asr_core.queue import TryOutcome

JITTER = 0.2
RETRY_AFTER_MAX_SECONDS = 86_400.0
_TRANSIENT = frozenset({408, 429})  # 4xx that do not reject the message itself


@dataclass(frozen=True)
class DeliveryOutcome:
    """`reason` is stored with the webhook, `cause` is for the log only; `delay_seconds` is the time
    until the next attempt.
    """

    outcome: TryOutcome
    reason: str = ""
    delay_seconds: float = 0.0
    cause: str = ""


def on_reply(
    status: int, *, attempts: int, pauses: Sequence[float], chance: float, requested_seconds: float
) -> DeliveryOutcome:
    """2xx is done; 4xx except 408 and 429 is dead; anything else, redirects included, is retried.

    `attempts` came before this one, `chance` is in 0..1, `requested_seconds` is the reply's
    `Retry-After`.
    """
    if 200 <= status < 300:
        return DeliveryOutcome(TryOutcome.DONE)
    reason = f"the receiver answered {status}"
    if 400 <= status < 500 and status not in _TRANSIENT:
        return DeliveryOutcome(TryOutcome.DEAD, reason)
    return again(
        reason, attempts=attempts, pauses=pauses, chance=chance, requested_seconds=requested_seconds
    )


def again(
    reason: str,
    *,
    attempts: int,
    pauses: Sequence[float],
    chance: float,
    requested_seconds: float = 0,
) -> DeliveryOutcome:
    """Retry after the next pause; a dead letter when no pause is left."""
    if attempts >= len(pauses):
        return DeliveryOutcome(
            TryOutcome.DEAD, f"{reason}, and so ended the last of {attempts + 1} tries"
        )
    delay_seconds = pauses[attempts] * (1 - JITTER + 2 * JITTER * chance)
    return DeliveryOutcome(TryOutcome.RETRY, reason, max(delay_seconds, requested_seconds))


def retry_after_seconds(value: str | None, now: datetime) -> float:
    """`Retry-After` in seconds, given as number or date, capped at a day; 0 if absent."""
    if value is None:
        return 0.0
    try:
        seconds = float(value) if value.isdecimal() else _seconds_until(value, now)
    except (TypeError, ValueError, OverflowError):
        return 0.0
    return min(max(seconds, 0.0), RETRY_AFTER_MAX_SECONDS)


def _seconds_until(date: str, now: datetime) -> float:
    moment = parsedate_to_datetime(date)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - now).total_seconds()
