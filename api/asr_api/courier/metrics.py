"""The courier's metrics, on a registry of its own."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from asr_core.queue import OutboxDepth

BUCKETS_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class CourierMetrics:
    """Gauges cover the whole platform, equal on every courier; NaN while Redis is unavailable."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        self.webhooks = Counter(
            "asr_webhooks",
            "Tries to deliver a webhook by what came of them: `done`, `retry`, `dead`",
            ["outcome"],
            registry=registry,
        )
        self.webhook_delivery_seconds = Histogram(
            "asr_webhook_delivery_seconds",
            "Time one try took, from the look-up of the name to the reply",
            buckets=BUCKETS_SECONDS,
            registry=registry,
        )
        self.fetches = Counter(
            "asr_fetches",
            "Fetches of a recording by what came of them: `fetched`, `failed`, `retried`, "
            "`postponed` for a reason of ours, `dropped` as the task is no longer ours",
            ["outcome"],
            registry=registry,
        )
        self.outbox_waiting = Gauge(
            "asr_outbox_waiting",
            "Webhooks not delivered yet, retries among them",
            registry=registry,
        )
        self.outbox_oldest_seconds = Gauge(
            "asr_outbox_oldest_seconds",
            "Since the end of the task of the oldest",
            registry=registry,
        )
        self.webhooks_dead = Gauge(
            "asr_webhooks_dead", "Webhooks among the dead letters", registry=registry
        )
        self.fetches_waiting = Gauge(
            "asr_fetches_waiting", "Tasks whose recording is still to be fetched", registry=registry
        )

    def show(self, outbox: OutboxDepth, fetching: int) -> None:
        """Set the gauges to what was just read."""
        self.outbox_waiting.set(outbox.waiting)
        self.outbox_oldest_seconds.set(outbox.oldest_seconds)
        self.webhooks_dead.set(outbox.dead)
        self.fetches_waiting.set(fetching)

    def signal_lost(self) -> None:
        """Redis is unavailable: NaN, never zero."""
        for gauge in (
            self.outbox_waiting, self.outbox_oldest_seconds, self.webhooks_dead,
            self.fetches_waiting,
        ):  # fmt: skip
            gauge.set(float("nan"))
