"""Carries webhooks to their receivers."""

from __future__ import annotations

import asyncio
import random
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

import httpcore

from asr_api.courier import message
from asr_api.courier.job_runner import reserved_slots
from asr_api.courier.metrics import CourierMetrics
from asr_api.courier.retry_policy import DeliveryOutcome, again, on_reply, retry_after_seconds
from asr_api.egress.http_client import Egress, header
from asr_api.egress.target import OutboundUrl
from asr_api.errors import UrlRefused
from asr_api.settings.courier import CourierSettings
from asr_core.process.logs import get_logger
from asr_core.queue import Outbox, TryOutcome, Webhook

REPLY_MAX_BYTES = 4096
_log = get_logger("asr_api.courier.webhooks")


class Deliveries:
    """The outbox's side of the courier: takes webhooks, tries each once, says what came of it."""

    name = "webhooks"

    def __init__(
        self, outbox: Outbox, egress: Egress, metrics: CourierMetrics, settings: CourierSettings
    ) -> None:
        self._outbox = outbox
        self._egress = egress
        self._metrics = metrics
        self._settings = settings

    async def take(self, limit: int, busy: Mapping[str, int]) -> Sequence[Webhook]:
        return await self._outbox.take(
            token=secrets.token_hex(8),
            limit=limit,
            per_line=self._settings.webhooks_per_host,
            reserved=reserved_slots(self._settings.webhooks_at_once),
            busy=busy,
        )

    async def run(self, webhook: Webhook) -> None:
        """One try. A courier that dies in the middle leaves the rest to the lease."""
        began = time.monotonic()
        verdict = await self._try(webhook)
        took_seconds = time.monotonic() - began
        await self._outbox.report(
            webhook, verdict.outcome, reason=verdict.reason, delay_seconds=verdict.delay_seconds
        )
        self._metrics.webhook_delivery_seconds.observe(took_seconds)
        self._metrics.webhooks.labels(outcome=verdict.outcome.value).inc()
        tell = _log.warning if verdict.outcome is TryOutcome.DEAD else _log.info
        tell(
            f"webhook_{verdict.outcome.value}",
            webhook_id=webhook.webhook_id,
            task_id=webhook.task_id,
            receiver=webhook.receiver,
            tries=webhook.attempts + 1,
            reason=verdict.reason,
            cause=verdict.cause or None,
            seconds=round(took_seconds, 3),
        )

    async def _try(self, webhook: Webhook) -> DeliveryOutcome:
        settings = self._settings
        if not settings.webhook_secret:
            return self._again(webhook, "ASR_WEBHOOK_SECRET is not set for the courier")
        try:
            async with asyncio.timeout(settings.webhook_timeout_seconds):
                return await self._post(webhook)
        except UrlRefused as refused:
            return DeliveryOutcome(TryOutcome.DEAD, refused.message)
        except (TimeoutError, httpcore.TimeoutException, httpcore.ConnectError) as error:
            # The same whether a name is unknown, leads inward or does not answer: see `egress`.
            seconds = settings.webhook_timeout_seconds
            return self._again(
                webhook, f"no connection, or no reply within {seconds:g} seconds", cause=str(error)
            )
        except (httpcore.NetworkError, httpcore.ProtocolError) as error:
            return self._again(webhook, "the receiver broke off", cause=str(error))
        except Exception as error:
            _log.exception("webhook_broken")
            return self._again(webhook, "an error of the courier's own", cause=str(error))

    async def _post(self, webhook: Webhook) -> DeliveryOutcome:
        content, now = message.body(webhook, self._settings.root_path), datetime.now(UTC)
        headers = message.headers(webhook, content, secrets=self._settings.webhook_secret, now=now)
        idle_seconds = self._settings.webhook_timeout_seconds
        async with self._egress.send(
            "POST", OutboundUrl.parse(webhook.url), headers=headers, idle_seconds=idle_seconds,
            content=content,
        ) as response:  # fmt: skip
            await _read_a_little(response)
            return on_reply(
                response.status,
                attempts=webhook.attempts,
                pauses=self._settings.webhook_retry_seconds,
                chance=random.random(),
                asked_seconds=retry_after_seconds(header(response, "retry-after"), now),
            )

    def _again(self, webhook: Webhook, reason: str, *, cause: str = "") -> DeliveryOutcome:
        verdict = again(
            reason,
            attempts=webhook.attempts,
            pauses=self._settings.webhook_retry_seconds,
            chance=random.random(),
        )
        return replace(verdict, cause=cause)


async def _read_a_little(response: httpcore.Response) -> None:
    """A receiver that closes properly is let finish; one that sends for ever is cut off."""
    total_bytes = 0
    async for chunk in response.aiter_stream():
        total_bytes += len(chunk)
        if total_bytes > REPLY_MAX_BYTES:
            return
