"""Metrics of the operator. `pool` is the WorkerPool's name. Nothing is registered at import."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_POOL = ["namespace", "pool"]
_TICK_BUCKETS_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class OperatorMetrics:
    """All metrics, on the caller's registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry

        def gauge(name: str, text: str) -> Gauge:
            return Gauge(f"asr_operator_{name}", text, _POOL, registry=registry)

        self.replicas = gauge("replicas", "`spec.replicas` of the Deployment")
        self.ready_replicas = gauge("ready_replicas", "Pods that are ready")
        self.desired_replicas = gauge(
            "desired_replicas",
            "Replicas that the work asks for, before minReplicas and maxReplicas",
        )
        self.max_replicas = gauge("max_replicas", "`maxReplicas` of the WorkerPool")
        self.waiting = gauge("waiting", "Tasks that wait for a worker")
        self.in_flight = gauge("in_flight", "Tasks that a live worker holds")
        self.oldest_wait_seconds = gauge(
            "oldest_wait_seconds", "How long the oldest task has waited"
        )
        self.backlog_audio_seconds = gauge(
            "backlog_audio_seconds", "Audio-seconds of everything open"
        )
        self.signal_up = gauge("signal_up", "1 if the queue could be read")
        self.signal_errors = Counter(
            "asr_operator_signal_errors",
            "Ticks in which the queue could not be read",
            _POOL,
            registry=registry,
        )
        self.decisions = Counter(
            "asr_operator_decisions",
            "Decisions, one a tick, by the plan's reason",
            [*_POOL, "reason"],
            registry=registry,
        )
        self.scales = Counter(
            "asr_operator_scales",
            "Changes of the Deployment's replicas",
            [*_POOL, "direction"],
            registry=registry,
        )
        self.tick_duration_seconds = Histogram(
            "asr_operator_tick_duration_seconds",
            "Duration of one tick: observe, plan, execute",
            _POOL,
            buckets=_TICK_BUCKETS_SECONDS,
            registry=registry,
        )
        self.tick_errors = Counter(
            "asr_operator_tick_errors",
            "Ticks that ended early: the cluster did not answer, or refused",
            _POOL,
            registry=registry,
        )
        self.leading = Gauge(
            "asr_operator_leading",
            "1 while this operator holds a Lease of the namespace",
            ["namespace"],
            registry=registry,
        )

    def forget(self, namespace: str, pool: str) -> None:
        """Removes all series of a pool."""
        self.forget_queue(namespace, pool)
        labels = {"namespace": namespace, "pool": pool}
        for metric in (
            *(self.replicas, self.ready_replicas, self.desired_replicas, self.max_replicas),
            *(self.signal_up, self.signal_errors, self.decisions, self.scales),
            *(self.tick_duration_seconds, self.tick_errors),
        ):
            metric.remove_by_labels(labels)

    def forget_queue(self, namespace: str, pool: str) -> None:
        """Removes the series that are unknown while the queue is unreachable."""
        labels = {"namespace": namespace, "pool": pool}
        for gauge in (
            *(self.waiting, self.in_flight),
            *(self.oldest_wait_seconds, self.backlog_audio_seconds),
        ):
            gauge.remove_by_labels(labels)
