"""Delivers webhooks to their receivers."""

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
    """Webhook jobs: take due webhooks, attempt each once, report the outcome."""

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
            per_destination=self._settings.webhooks_per_host,
            reserved=reserved_slots(self._settings.webhooks_at_once),
            busy=busy,
        )

    async def run(self, webhook: Webhook) -> None:
        """One attempt. If the courier dies, the lease expires and another one retries."""
        began = time.monotonic()
        result = await self._try(webhook)
        took_seconds = time.monotonic() - began
        await self._outbox.report(
            webhook, result.outcome, reason=result.reason, delay_seconds=result.delay_seconds
        )
        self._metrics.webhook_delivery_seconds.observe(took_seconds)
        self._metrics.webhooks.labels(outcome=result.outcome.value).inc()
        log = _log.warning if result.outcome is TryOutcome.DEAD else _log.info
        log(
            f"webhook_{result.outcome.value}",
            webhook_id=webhook.webhook_id,
            task_id=webhook.task_id,
            receiver=webhook.receiver,
            tries=webhook.attempts + 1,
            reason=result.reason,
            cause=result.cause or None,
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
            # Same error for unknown, private and silent hosts: see `egress`.
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
            await _drain(response)
            return on_reply(
                response.status,
                attempts=webhook.attempts,
                pauses=self._settings.webhook_retry_seconds,
                chance=random.random(),
                requested_seconds=retry_after_seconds(header(response, "retry-after"), now),
            )

    def _again(self, webhook: Webhook, reason: str, *, cause: str = "") -> DeliveryOutcome:
        result = again(
            reason,
            attempts=webhook.attempts,
            pauses=self._settings.webhook_retry_seconds,
            chance=random.random(),
        )
        return replace(result, cause=cause)


async def _drain(response: httpcore.Response) -> None:
    """Read a short reply to its end; stop after `REPLY_MAX_BYTES`."""
    total_bytes = 0
    async for chunk in response.aiter_stream():
        total_bytes += len(chunk)
        if total_bytes > REPLY_MAX_BYTES:
            return
