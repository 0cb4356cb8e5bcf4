"""Which variables of the environment any program reads, so that a misspelt one can be named.

A program ignores what it does not know, and has to: the same environment serves several programs.
So each knows the names of all. A test compares `KNOWN` with every settings class and command.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from dotenv import dotenv_values

from asr_core.process.logs import get_logger

_PREFIX: Final = "ASR_"
_OF_TESTS: Final = ("ASR_TEST_", "ASR_TOOLS_CACHE")
# Kubernetes and Docker give a container such variables for each service beside it.
_LINKS: Final = (
    "_SERVICE_HOST", "_SERVICE_PORT", "_TCP", "_UDP", "_SCTP", "_PROTO", "_ADDR",
)  # fmt: skip
_LINK_URLS: Final = ("tcp://", "udp://", "sctp://")

KNOWN: Final = frozenset({
    "ASR_ALLOWED_HOSTS", "ASR_ALLOW_PRIVATE_URLS", "ASR_API_HOST", "ASR_API_KEY",
    "ASR_API_PORT", "ASR_AUTH", "ASR_BATCH_SIZE", "ASR_BOOTSTRAP_KEY", "ASR_CORS_ORIGINS",
    "ASR_CPU_THREADS", "ASR_DATA", "ASR_DECODE_CPU_RATIO", "ASR_DECODE_CPU_SECONDS",
    "ASR_DECODE_PROCESSES", "ASR_DESERTED_SECONDS", "ASR_ENGINE",
    "ASR_EVENTS_HEARTBEAT_SECONDS", "ASR_EVENTS_MAX_SECONDS", "ASR_FETCHES_AT_ONCE",
    "ASR_FETCHES_PER_HOST", "ASR_FETCH_IDLE_SECONDS", "ASR_FETCH_MIN_BYTES_PER_SECOND",
    "ASR_FETCH_RATE_WINDOW_SECONDS", "ASR_FETCH_TIMEOUT_SECONDS", "ASR_GRACE_SECONDS",
    "ASR_HEALTH_TIMEOUT_SECONDS", "ASR_IDEMPOTENCY_HOURS", "ASR_KEY_PREFIX",
    "ASR_LEASE_SECONDS", "ASR_LIVENESS_URL", "ASR_LOG_DIR", "ASR_LOG_FORMAT", "ASR_LOG_LEVEL",
    "ASR_LONGPOLL_MAX_SECONDS", "ASR_MAX_CHANNELS", "ASR_MAX_DURATION_SECONDS",
    "ASR_MAX_MEMORY_BYTES", "ASR_MAX_TASKS_IN_HAND", "ASR_MAX_TASKS_PER_PROCESS",
    "ASR_MAX_UPLOAD_BYTES", "ASR_METRICS_HOST", "ASR_METRICS_PORT", "ASR_MODEL",
    "ASR_MODEL_CACHE", "ASR_MODEL_MIRROR", "ASR_MODEL_REVISION", "ASR_OFFLINE",
    "ASR_OPENAI_ALIASES", "ASR_OPENAI_STRICT",
    "ASR_OPERATOR_LEASE_SECONDS", "ASR_OPERATOR_NAME", "ASR_OPERATOR_RELEASE", "ASR_POOL",
    "ASR_POOLS", "ASR_PRECISION", "ASR_PROBE_MEMORY_BYTES", "ASR_PROBE_PROCESSES",
    "ASR_PROBE_TIMEOUT_SECONDS", "ASR_PROGRESS_DEADLINE_SECONDS", "ASR_PUNC_MODEL",
    "ASR_QUEUE_CAP", "ASR_RECORDINGS_MAX_AGE_DAYS", "ASR_RECORDINGS_MIN_AGE_MINUTES",
    "ASR_REDIS_URL", "ASR_REMOTE_API_KEY", "ASR_REMOTE_CA_FILE", "ASR_REMOTE_CONCURRENCY",
    "ASR_REMOTE_MODEL", "ASR_REMOTE_TIMEOUT_SECONDS", "ASR_REMOTE_URL",
    "ASR_RESULTS_MAX_AGE_DAYS", "ASR_RETRY_BACKOFF_SECONDS",
    "ASR_RETRY_LIMIT", "ASR_ROOT_PATH", "ASR_SEGMENT_MAX_SECONDS", "ASR_SERVER",
    "ASR_SPEAKER_MODEL", "ASR_SPOOL_DIR", "ASR_SPOOL_MAX_BYTES", "ASR_STORE_URL",
    "ASR_TENANT_OPEN_TASKS", "ASR_TENANT_RATE_PER_MINUTE", "ASR_TENANT_STORED_BYTES",
    "ASR_TENANT_WINDOW", "ASR_TRANSCRIPTION_WAIT_SECONDS", "ASR_TRUSTED_PROXIES",
    "ASR_TRUST_REMOTE_CODE", "ASR_UPLOAD_IDLE_SECONDS", "ASR_USE_GPU", "ASR_VAD",
    "ASR_VAD_MODEL", "ASR_WATCH_NAMESPACES",
    "ASR_WEBHOOKS_AT_ONCE", "ASR_WEBHOOKS_PER_HOST", "ASR_WEBHOOK_RETRY_SECONDS",
    "ASR_WEBHOOK_SECRET", "ASR_WEBHOOK_TIMEOUT_SECONDS", "ASR_WORKER_COUNT",
    "ASR_WORKER_NAME", "ASR_WORKER_POOLS_FILE", "ASR_WORK_DIR", "ASR_WORK_DIR_MAX_BYTES",
    "LOG_DIR", "MAX_RECORDINGS", "REDIS_CA_FILE", "REDIS_CERT_FILE", "REDIS_CLUSTER",
    "REDIS_DB", "REDIS_HOST", "REDIS_KEY_FILE", "REDIS_MAX_CONNECTIONS", "REDIS_PASSWORD",
    "REDIS_PORT", "REDIS_SENTINELS", "REDIS_SENTINEL_MASTER", "REDIS_SENTINEL_PASSWORD",
    "REDIS_SENTINEL_USERNAME", "REDIS_TIMEOUT_SECONDS", "REDIS_TLS", "REDIS_URL",
    "REDIS_USERNAME", "WORKER_COUNT",
})  # fmt: skip

_log = get_logger(__name__)


def unknown_settings(environment: Mapping[str, str]) -> dict[str, str]:
    """Variables that look like settings and are none, each with the nearest name; empty: none is
    near. Names are compared without case, as pydantic reads them.
    """
    found = sorted({name.upper(): value for name, value in environment.items()}.items())
    return {
        name: nearest(name, KNOWN)
        for name, value in found
        if name.startswith(_PREFIX)
        and name not in KNOWN
        and not name.startswith(_OF_TESTS)
        and not _is_link(name, value)
    }


def nearest(name: str, known: Iterable[str]) -> str:
    """The known name that was most likely meant; empty where none is near."""
    bare = name.removeprefix(_PREFIX)
    by_text = {each.removeprefix(_PREFIX): each for each in sorted(known)}
    close = difflib.get_close_matches(bare, by_text, n=1, cutoff=0.6)
    return by_text[close[0]] if close else ""


def given_variables() -> dict[str, str]:
    """Of the environment, and of `.env` in the working directory."""
    file = Path(".env")
    in_file = dotenv_values(file) if file.is_file() else {}
    return {name: value or "" for name, value in in_file.items()} | os.environ


def warn_of_unknown_settings() -> None:
    """One line in the log for each such variable, without its value, which may be a secret."""
    for name, meant in unknown_settings(given_variables()).items():
        _log.warning("setting_not_known", variable=name, nearest=meant or None)


def _is_link(name: str, value: str) -> bool:
    return (
        name.endswith(_LINKS)
        or "_SERVICE_PORT_" in name
        or (name.endswith("_PORT") and "_PORT_" in name)  # ASR_REDIS_PORT_6379_TCP_PORT
        or value.startswith(_LINK_URLS)
    )
