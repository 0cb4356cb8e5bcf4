"""What a receiver's answer means for a webhook: done, again later, or never again. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from asr_core.queue import TryOutcome

JITTER = 0.2
RETRY_AFTER_MAX_SECONDS = 86_400.0
_PASSING = frozenset({408, 429})  # of the 4xx, these say nothing about the message


@dataclass(frozen=True)
class DeliveryOutcome:
    """`reason` is what is stored of it, `cause` what only the log may say; `delay_seconds` is until
    the next try.
    """

    outcome: TryOutcome
    reason: str = ""
    delay_seconds: float = 0.0
    cause: str = ""


def on_reply(
    status: int, *, attempts: int, pauses: Sequence[float], chance: float, asked_seconds: float
) -> DeliveryOutcome:
    """2xx is done; 4xx but 408 and 429 is the end; anything else, redirects too, is tried again.

    `attempts` came before this one, `chance` is in 0..1, `asked_seconds` is the reply's
    `Retry-After`.
    """
    if 200 <= status < 300:
        return DeliveryOutcome(TryOutcome.DONE)
    reason = f"the receiver answered {status}"
    if 400 <= status < 500 and status not in _PASSING:
        return DeliveryOutcome(TryOutcome.DEAD, reason)
    return again(
        reason, attempts=attempts, pauses=pauses, chance=chance, asked_seconds=asked_seconds
    )


def again(
    reason: str, *, attempts: int, pauses: Sequence[float], chance: float, asked_seconds: float = 0
) -> DeliveryOutcome:
    """After the pause whose turn it is, or never, when there is none left."""
    if attempts >= len(pauses):
        return DeliveryOutcome(
            TryOutcome.DEAD, f"{reason}, and so ended the last of {attempts + 1} tries"
        )
    delay_seconds = pauses[attempts] * (1 - JITTER + 2 * JITTER * chance)
    return DeliveryOutcome(TryOutcome.RETRY, reason, max(delay_seconds, asked_seconds))


def retry_after_seconds(value: str | None, now: datetime) -> float:
    """What a `Retry-After` asks for, in seconds or as a date, a day at most; 0 for none."""
    if value is None:
        return 0.0
    try:
        asked = float(value) if value.isdecimal() else _seconds_until(value, now)
    except (TypeError, ValueError, OverflowError):
        return 0.0
    return min(max(asked, 0.0), RETRY_AFTER_MAX_SECONDS)


def _seconds_until(date: str, now: datetime) -> float:
    moment = parsedate_to_datetime(date)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - now).total_seconds()
