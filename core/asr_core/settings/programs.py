"""Settings, read from the environment (and `.env`) once, in `main`, and passed down.

Each program takes the class it needs; none is built at import.
"""

from __future__ import annotations

from base64 import b64decode
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AliasChoices, Field, field_validator, model_validator
from pydantic_settings import NoDecode

from asr_api.settings.web import OpenAiSettings, PathSettings, WebSettings
from asr_core.access.api_key import DIGEST_PATTERN, SECRET_PATTERN
from asr_core.settings.base import Settings, names
from asr_core.settings.listening import ListeningSettings, MetricsSettings
from asr_core.settings.redis_address import redis_address
from asr_core.task import DEFAULT_POOL

GIB = 1024**3
MAX_AGE_DAYS = 36_500
Precision = Literal["float32", "bfloat16", "int8"]


class RedisSettings(Settings):
    """Where Redis is. `ASR_REDIS_URL` wins over the single parts."""

    url: str = Field("", validation_alias=AliasChoices("ASR_REDIS_URL", "REDIS_URL"), repr=False)
    host: str = Field("127.0.0.1", validation_alias="REDIS_HOST")
    port: int = Field(6379, ge=1, le=65535, validation_alias="REDIS_PORT")
    db: int = Field(0, ge=0, validation_alias="REDIS_DB")
    username: str = Field("", validation_alias="REDIS_USERNAME")
    password: str = Field("", validation_alias="REDIS_PASSWORD", repr=False)
    tls: bool = Field(False, validation_alias="REDIS_TLS", description="as `rediss://` in a URL")
    ca_file: Path | None = Field(None, validation_alias="REDIS_CA_FILE")
    cert_file: Path | None = Field(None, validation_alias="REDIS_CERT_FILE")
    key_file: Path | None = Field(None, validation_alias="REDIS_KEY_FILE")
    sentinels: Annotated[tuple[str, ...], NoDecode] = Field(
        (), validation_alias="REDIS_SENTINELS", description="`host:port`, with commas between"
    )
    sentinel_master: str = Field("mymaster", validation_alias="REDIS_SENTINEL_MASTER")
    sentinel_username: str = Field("", validation_alias="REDIS_SENTINEL_USERNAME")
    sentinel_password: str = Field("", validation_alias="REDIS_SENTINEL_PASSWORD", repr=False)
    cluster: bool = Field(
        False, validation_alias="REDIS_CLUSTER", description="the host is any node of a Cluster"
    )
    key_prefix: str = Field("", pattern=r"^[A-Za-z0-9_.-]*$", validation_alias="ASR_KEY_PREFIX")
    timeout_seconds: float = Field(5.0, gt=0, validation_alias="REDIS_TIMEOUT_SECONDS")
    max_connections: int = Field(
        64, ge=1, validation_alias="REDIS_MAX_CONNECTIONS", description="of one process"
    )

    @field_validator("sentinels", mode="before")
    @classmethod
    def _split_sentinels(cls, value: object) -> object:
        return names(value)

    @field_validator("url", "host", mode="after")
    @classmethod
    def _strip(cls, value: str) -> str:
        return value.strip()  # Secrets often end in a line feed

    @field_validator("ca_file", "cert_file", "key_file", mode="before")
    @classmethod
    def _no_file(cls, value: object) -> object:
        return None if value == "" else value

    @model_validator(mode="after")
    def _can_be_served(self) -> Self:
        redis_address(self)
        return self


class QueueSettings(Settings):
    """The queue's rules, the same for every program."""

    pools: Annotated[tuple[str, ...], NoDecode] = (DEFAULT_POOL,)
    queue_cap: int = Field(100_000, ge=1, description="waiting tasks per pool before 429")
    lease_seconds: float = Field(30.0, gt=0)
    tenant_window: int = Field(
        16, ge=1, description="undelivered entries per tenant, pool and lane"
    )
    retry_limit: int = Field(5, ge=0, description="transient failures before a task fails")
    retry_backoff_seconds: float = Field(2.0, gt=0, description="first backoff; doubles each time")
    idempotency_hours: float = Field(24.0, gt=0)

    @field_validator("pools", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return names(value)


class StoreSettings(Settings):
    """Where audio and results lie: `file:///…`, `s3://bucket/prefix`, `gs://…`, `az://…`."""

    store_url: str = "file:///var/lib/asr-platform/store"


class RetentionSettings(Settings):
    """How long what is finished stays. Unset: without that limit."""

    max_recordings: int | None = Field(
        10,
        ge=0,
        validation_alias="MAX_RECORDINGS",
        description="recordings of completed and cancelled tasks kept per tenant, newest first",
    )
    recordings_min_age_minutes: float = Field(
        60.0,
        ge=0,
        le=MAX_AGE_DAYS * 24 * 60,
        description="for which MAX_RECORDINGS, unless it is 0, spares those of ended tasks",
    )
    recordings_max_age_days: float | None = Field(
        None, gt=0, le=MAX_AGE_DAYS, description="from the end of the task; failed ones excepted"
    )
    results_max_age_days: float | None = Field(
        7.0, gt=0, le=MAX_AGE_DAYS, description="from the end of the task; then nothing is left"
    )

    @field_validator(
        "max_recordings", "recordings_max_age_days", "results_max_age_days", mode="before"
    )
    @classmethod
    def _unlimited(cls, value: object) -> object:
        return None if value == "" else value

    @field_validator("recordings_min_age_minutes", mode="before")
    @classmethod
    def _spare_none(cls, value: object) -> object:
        return 0 if value == "" else value


class TenantSettings(Settings):
    """What a tenant may take where `asr tenants set` says nothing else. 0: without that limit."""

    tenant_rate_per_minute: int = Field(0, ge=0, description="requests, over all pods")
    tenant_open_tasks: int = Field(0, ge=0, description="tasks that have not ended yet")
    tenant_stored_bytes: int = Field(0, ge=0, description="recordings in the store")


class LogSettings(Settings):
    """`auto` is JSON on pipes and in pods, a console rendering on a terminal."""

    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    log_format: Literal["auto", "json", "console"] = "auto"
    log_dir: Path | None = Field(None, validation_alias=AliasChoices("LOG_DIR", "ASR_LOG_DIR"))


class IntakeSettings(Settings):
    """Which recordings are taken in, and where they wait meanwhile."""

    max_upload_bytes: int = Field(2 * GIB, ge=1)
    max_duration_seconds: float = Field(10 * 3600.0, gt=0)
    max_channels: int = Field(16, ge=1)
    spool_dir: Path | None = Field(
        None, description="unset: a folder under the system's temporary one"
    )
    spool_max_bytes: int = Field(8 * GIB, ge=1, description="all uploads in flight together")
    probe_timeout_seconds: float = Field(20.0, gt=0)
    probe_processes: int = Field(2, ge=1, description="files looked into at the same time")
    probe_memory_bytes: int = Field(
        GIB, ge=GIB // 4, description="address space of one probe process"
    )


class OutboundSettings(Settings):
    """Where the platform may call, and how it signs."""

    webhook_secret: Annotated[tuple[str, ...], NoDecode] = Field(
        (), repr=False, description="`whsec_` and base64; several sign together; unset: no webhooks"
    )
    allow_private_urls: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="hosts and networks that may be called though they are private"
    )

    @field_validator("webhook_secret", "allow_private_urls", mode="before")
    @classmethod
    def _split_outbound(cls, value: object) -> object:
        return names(value)

    @field_validator("webhook_secret")
    @classmethod
    def _check_secrets(cls, secrets: tuple[str, ...]) -> tuple[str, ...]:
        for secret in secrets:
            try:
                key = b64decode(secret.removeprefix("whsec_"), validate=True)
            except ValueError:
                key = b""
            if not secret.startswith("whsec_") or not 24 <= len(key) <= 64:
                raise ValueError("each must be whsec_ and 24 to 64 bytes in base64")
        return secrets


class ApiSettings(
    RedisSettings, QueueSettings, StoreSettings, RetentionSettings, TenantSettings, LogSettings,
    IntakeSettings, OutboundSettings, WebSettings, OpenAiSettings, ListeningSettings,
):  # fmt: skip
    """The API's settings. What retention deletes it tells only: `asr retention` does it."""

    auth: Literal["off", "keys"] = Field("off", description="`keys`: requests carry an API key")
    bootstrap_key: str = Field(
        "",
        pattern=rf"^({SECRET_PATTERN}|sha256:{DIGEST_PATTERN})?$",
        repr=False,
        description="a key with the scope `admin` that needs no record in Redis",
    )

    api_port: int = Field(8000, ge=0, le=65535)
    upload_idle_seconds: float = Field(
        30.0, gt=0, description="longest silence of a client, in its headers or its upload"
    )
    events_heartbeat_seconds: float = Field(
        15.0, gt=0, description="a comment on a silent event stream"
    )
    events_max_seconds: float = Field(
        3600.0, gt=0, description="an event stream ends; its client connects again"
    )
    health_timeout_seconds: float = Field(
        2.0, gt=0, description="per dependency, for /api/v1/health"
    )
    longpoll_max_seconds: float = Field(60.0, gt=0)
    transcription_wait_seconds: float = Field(
        600.0, gt=0, description="the most that /v1/audio/transcriptions waits for its transcript"
    )
    deserted_seconds: float = Field(
        30.0, gt=0, description="after the last caller has gone, its transcription is cancelled"
    )


class WorkerSettings(RedisSettings, QueueSettings, StoreSettings, LogSettings, MetricsSettings):
    """A worker's settings."""

    model: str = Field("embedded", description="`embedded`, a FunASR hub id, or a local folder")
    model_revision: str = ""
    engine: Literal["auto", "sensevoice", "paraformer", "automodel"] = "auto"
    precision: Precision = Field(
        "float32", description="`float32`, `bfloat16` or `int8`; not for engine `automodel`"
    )
    punc_model: str = Field("", description="FunASR punctuation model, engine `automodel` only")
    vad_model: str = Field(
        "", description="FunASR voice activity model, engine `automodel` only: what is heard"
    )
    speaker_model: str = Field(
        "", description="FunASR's CAM++, for callers who ask who speaks; with any engine"
    )
    pool: str = DEFAULT_POOL
    use_gpu: bool | None = Field(
        None, description="unset: if there is one; true: required; false: never"
    )
    batch_size: float | None = Field(
        None, gt=0, description="padded audio-seconds per batch; unset: 500 on a GPU, 60 on a CPU"
    )
    segment_max_seconds: float = Field(30.0, gt=1)
    max_duration_seconds: float = Field(10 * 3600.0, gt=0)
    max_channels: int = Field(16, ge=1)
    cpu_threads: int | None = Field(None, ge=1)
    decode_processes: int | None = Field(
        None,
        ge=1,
        description="processes that decode; one more is kept for short interactive recordings; "
        "unset: half of the processors, 2 to 8",
    )
    decode_cpu_ratio: float = Field(
        0.2, gt=0, description="processor seconds that decoding a second of sound may take"
    )
    decode_cpu_seconds: float = Field(
        1800.0, gt=0, description="processor seconds that decoding one recording may take"
    )
    work_dir: Path | None = Field(
        None, description="decoded audio; unset: the system's temporary folder"
    )
    work_dir_max_bytes: int = Field(
        16 * GIB, ge=1, description="decoded audio of all tasks in hand; the next ones wait"
    )
    worker_count: int = Field(
        1, ge=1, validation_alias=AliasChoices("WORKER_COUNT", "ASR_WORKER_COUNT")
    )
    worker_name: str = Field(
        "", validation_alias=AliasChoices("ASR_WORKER_NAME", "POD_NAME", "HOSTNAME")
    )
    max_tasks_in_hand: int = Field(256, ge=1)
    grace_seconds: float = Field(
        30.0, ge=0, description="after SIGTERM; what does not fit is handed back"
    )
    progress_deadline_seconds: float = Field(
        600.0, gt=0, description="no progress: leases are no longer renewed"
    )
    max_tasks_per_process: int = Field(
        0, ge=0, description="after so many a fresh process takes over; 0: never"
    )
    max_memory_bytes: int = Field(
        0, ge=0, description="above this a fresh process takes over; 0: no bound"
    )

    @property
    def recycles(self) -> bool:
        """Whether worker processes end by themselves, and fresh ones take over."""
        return bool(self.max_tasks_per_process or self.max_memory_bytes)

    @field_validator("use_gpu", "batch_size", mode="before")
    @classmethod
    def _unset(cls, value: object) -> object:
        return None if value == "" else value


class CourierSettings(
    RedisSettings, QueueSettings, StoreSettings, LogSettings, IntakeSettings, OutboundSettings,
    PathSettings, MetricsSettings,
):  # fmt: skip
    """The courier's settings."""

    webhook_timeout_seconds: float = Field(
        10.0, gt=0, description="one try, from the look-up of the name to the reply"
    )
    webhook_retry_seconds: Annotated[tuple[float, ...], NoDecode] = Field(
        (5.0, 30.0, 120.0, 600.0, 1800.0, 3600.0, 7200.0, 14400.0, 28800.0),
        description="pauses between tries, each up to 20 % shorter or longer by chance",
    )
    webhooks_at_once: int = Field(64, ge=1)
    webhooks_per_host: int = Field(
        4, ge=1, description="of one tenant, to one receiver at the same time"
    )
    fetches_at_once: int = Field(
        4, ge=1, description="a quarter of them only for tenants that have none, as of webhooks"
    )
    fetches_per_host: int = Field(2, ge=1, description="for one tenant, from one host")
    fetch_timeout_seconds: float = Field(1800.0, gt=0, description="one whole download")
    fetch_idle_seconds: float = Field(
        30.0, gt=0, description="longest silence of a server, and until its headers are there"
    )
    fetch_min_bytes_per_second: float = Field(
        4096.0, ge=0, description="the least rate of a download, over each window"
    )
    fetch_rate_window_seconds: float = Field(60.0, gt=0)
    grace_seconds: float = Field(
        30.0, ge=0, description="after SIGTERM; another courier takes up what does not fit"
    )

    @field_validator("webhook_retry_seconds", mode="before")
    @classmethod
    def _split_pauses(cls, value: object) -> object:
        return names(value)


class OperatorSettings(RedisSettings, QueueSettings, LogSettings, MetricsSettings):
    """The operator's settings. Its Redis is that of pools whose resource names no Secret."""

    watch_namespaces: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="`*`: all; unset: the operator's own"
    )
    operator_name: str = Field(
        "", validation_alias=AliasChoices("ASR_OPERATOR_NAME", "POD_NAME", "HOSTNAME")
    )
    operator_lease_seconds: int = Field(
        15, ge=3, le=600, description="after which another operator takes over from a dead one"
    )
    worker_pools_file: str = Field(
        "", description="JSON list of WorkerPools that the operator creates and updates"
    )
    operator_release: str = Field(
        "",
        max_length=63,
        description="serves WorkerPools with this label asr-platform.dev/operator, and those with "
        "none; unset: all",
    )
    liveness_url: str = Field(
        "", description="where the liveness probe is answered; unset: nowhere"
    )

    @field_validator("watch_namespaces", mode="before")
    @classmethod
    def _split_namespaces(cls, value: object) -> object:
        return names(value)
