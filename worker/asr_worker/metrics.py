"""What a worker counts, in base units, on a registry that the caller owns."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

STAGE_BUCKETS_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900)


# A queue is quick for who watches and hours long after a night's batch; both must be readable.
WAIT_BUCKETS_SECONDS = (
    *(0.1, 0.25, 0.5, 1, 2, 5, 10, 20, 30, 45, 60, 90, 120, 300, 600),
    *(1800, 3600, 7200, 14400, 28800, 86400),
)


TASK_BUCKETS_SECONDS = (0.1, 0.25, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600, 14400)


MOST_LABELLED_TENANTS = 100


OTHER_TENANTS = "_other"  # no tenant can have this name


RATIO_BUCKETS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1.0)


class WorkerMetrics:
    """What a worker counts."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        self._define_tasks(registry)
        self._define_engine(registry)

    def _define_tasks(self, registry: CollectorRegistry) -> None:
        self.tasks_finished = Counter(
            "asr_tasks_finished",
            "Tasks that reached a terminal state",
            ["state"],
            registry=registry,
        )
        self.task_wait_seconds = Histogram(
            "asr_task_wait_seconds",
            "Time from queued to claimed",
            buckets=WAIT_BUCKETS_SECONDS,
            registry=registry,
        )
        self.task_duration_seconds = Histogram(
            "asr_task_duration_seconds",
            "Time from claimed to finished",
            buckets=TASK_BUCKETS_SECONDS,
            registry=registry,
        )
        self.audio_seconds = Counter(
            "asr_audio_seconds", "Seconds of audio transcribed", registry=registry
        )
        self.speech_seconds = Counter(
            "asr_speech_seconds",
            "Seconds in which somebody speaks, of the audio transcribed",
            registry=registry,
        )
        self.tenant_audio_seconds = Counter(
            "asr_tenant_audio_seconds",
            "Seconds of audio transcribed for a tenant; the first hundred that a worker serves "
            "have a label of their own, the others are `_other`",
            ["tenant"],
            registry=registry,
        )
        self._labelled_tenants: set[str] = set()

    def count_tenant_audio(self, tenant: str, seconds: float) -> None:
        """A completed recording of a tenant's, under a bounded number of labels."""
        if len(self._labelled_tenants) < MOST_LABELLED_TENANTS:
            self._labelled_tenants.add(tenant)
        label = tenant if tenant in self._labelled_tenants else OTHER_TENANTS
        self.tenant_audio_seconds.labels(label).inc(seconds)

    def _define_engine(self, registry: CollectorRegistry) -> None:
        self.stage_duration_seconds = Histogram(
            "asr_stage_duration_seconds",
            "Time one stage of the worker took: download, decode, segment, batch_wait, engine, "
            "assemble, finish",
            ["stage"],
            buckets=STAGE_BUCKETS_SECONDS,
            registry=registry,
        )
        self.batch_fill_ratio = Histogram(
            "asr_batch_fill_ratio",
            "Audio in a batch over its padded size; 1 is a batch without padding",
            buckets=RATIO_BUCKETS,
            registry=registry,
        )
        self.worker_busy = Gauge(
            "asr_worker_busy", "1 while the engine has a batch, else 0", registry=registry
        )
        self.worker_blocked = Gauge(
            "asr_worker_blocked",
            "1 while this worker takes no work: its `disk` is full or cannot be written, or the "
            "`store`, or its model `server` is away",
            ["reason"],
            registry=registry,
        )
        self.model_server_requests = Counter(
            "asr_model_server_requests",
            "Requests of engine `remote` by their outcome: a status, or `unreachable`, `timeout`, "
            "`broken`, `unusable`",
            ["outcome"],
            registry=registry,
        )
        self.model_server_request_seconds = Histogram(
            "asr_model_server_request_seconds",
            "Time of one request of engine `remote`",
            buckets=STAGE_BUCKETS_SECONDS,
            registry=registry,
        )
        self.model_server_requests_in_flight = Gauge(
            "asr_model_server_requests_in_flight",
            "Requests of engine `remote` under way",
            registry=registry,
        )
        self.leases_lost = Counter(
            "asr_leases_lost", "Leases this worker lost while it held the task", registry=registry
        )
        self.fenced_results = Counter(
            "asr_fenced_results",
            "Results refused because the task had been claimed again",
            registry=registry,
        )
