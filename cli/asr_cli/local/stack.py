"""Which programs `asr up` runs, with which settings and files: plain data, nothing is started."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from asr_cli.local.process import Program
from asr_cli.local.redis_server import ServerProgram, server_arguments
from asr_cli.local.redis_socket import private_settings, socket_url
from asr_core.access.hosts import host_of, is_loopback
from asr_core.process.listening import ALL_ADDRESSES, url_host
from asr_core.settings.redis import RedisSettings

GRACE_SECONDS = 5.0
RETENTION_SECONDS = 60.0
_API_GRACE_SECONDS = 3
_STOP_MARGIN_SECONDS = 10.0
_FILES_OF_ANOTHER_REDIS = ("REDIS_CA_FILE", "REDIS_CERT_FILE", "REDIS_KEY_FILE")
_NAMES_OF_REDIS = ("ASR_REDIS_URL", "REDIS_URL", "REDIS_HOST")


@dataclass(frozen=True)
class StackPlan:
    """The arguments of `asr up`, with every default resolved."""

    data: Path
    host: str
    api_port: int
    redis_socket: Path
    workers: int
    cpu_threads_per_worker: int | None
    grace_seconds: float
    metrics_port: int
    model: str
    model_cache: Path
    environment: Mapping[str, str]
    offline: bool = False
    allowed_hosts: tuple[str, ...] = ()

    @property
    def api_url(self) -> str:
        host = "127.0.0.1" if self.host in ("0.0.0.0", ALL_ADDRESSES) else self.host
        return f"http://{url_host(host)}:{self.api_port}"

    @property
    def redis_url(self) -> str:
        return socket_url(self.redis_socket)

    @property
    def redis_settings(self) -> RedisSettings:
        return private_settings(self.redis_url)

    @property
    def unused_redis(self) -> tuple[str, ...]:
        """Settings of the environment that name another Redis."""
        return tuple(name for name in _NAMES_OF_REDIS if self.environment.get(name))

    @property
    def log_folder(self) -> Path:
        return self.data / "logs"

    def redis(self, server: ServerProgram, lock_file: int) -> Program:
        """Keeps the data folder's lock: no second Redis may write the same append-only file."""
        arguments = server_arguments(server, unix=self.redis_socket, directory=self.data / "redis")
        return self._program("redis", arguments, {}, stop_seconds=30.0, kept_files=(lock_file,))

    def api(self) -> Program:
        own = {
            "ASR_API_PORT": str(self.api_port),
            "ASR_ALLOWED_HOSTS": ",".join(self.allowed_hosts),
            "ASR_SPOOL_DIR": str(self.data / "spool"),
        }
        stop_seconds = _API_GRACE_SECONDS + _STOP_MARGIN_SECONDS
        arguments = _asr("api", "--grace", str(_API_GRACE_SECONDS))
        return self._program("api", arguments, own, stop_seconds=stop_seconds)

    def courier(self) -> Program:
        """Webhooks and fetches; workers' metrics ports come first, its own after them."""
        own = {
            "ASR_SPOOL_DIR": str(self.data / "spool"),
            "ASR_GRACE_SECONDS": f"{self.grace_seconds:g}",
        }
        if self.metrics_port:
            own["ASR_METRICS_PORT"] = str(self.metrics_port + self.workers)
        stop_seconds = self.grace_seconds + _STOP_MARGIN_SECONDS
        return self._program(
            "courier", _asr("courier"), own, stop_seconds=stop_seconds, essential=False
        )

    def worker(self, number: int) -> Program:
        """One of the workers, counted from 1."""
        own = {
            "ASR_WORKER_NAME": self.worker_name(number),
            "WORKER_COUNT": "1",
            "ASR_WORK_DIR": str(self.data / "work"),
            "ASR_GRACE_SECONDS": f"{self.grace_seconds:g}",
            "ASR_MODEL": self.model,
            "ASR_MODEL_CACHE": str(self.model_cache),
        }
        if self.offline:
            own["HF_HUB_OFFLINE"] = "1"
        if self.cpu_threads_per_worker is not None:
            own["ASR_CPU_THREADS"] = str(self.cpu_threads_per_worker)
        if self.metrics_port:
            own["ASR_METRICS_PORT"] = str(self.metrics_port + number - 1)
        stop_seconds = self.grace_seconds + _STOP_MARGIN_SECONDS
        name = self.worker_name(number)
        return self._program(name, _asr("worker"), own, stop_seconds=stop_seconds, essential=False)

    def retention(self) -> Program:
        """Deletes what has expired, for as long as the platform runs."""
        arguments = _asr("retention", "--every", f"{RETENTION_SECONDS:g}")
        return self._program(
            "retention", arguments, {}, stop_seconds=_STOP_MARGIN_SECONDS, essential=False
        )

    @staticmethod
    def worker_name(number: int) -> str:
        return f"worker-{number}"

    def _program(
        self,
        name: str,
        arguments: tuple[str, ...],
        own: Mapping[str, str],
        *,
        stop_seconds: float,
        essential: bool = True,
        kept_files: tuple[int, ...] = (),
    ) -> Program:
        shared = {
            "ASR_REDIS_URL": self.redis_url,
            "ASR_API_HOST": self.host,  # where metrics are served, too
            "ASR_STORE_URL": (self.data / "store").as_uri(),
            "REDIS_USERNAME": "",
            "REDIS_PASSWORD": "",
            **dict.fromkeys(_FILES_OF_ANOTHER_REDIS, ""),
            "REDIS_TLS": "false",
            "REDIS_CLUSTER": "false",
        }
        return Program(
            name=name,
            arguments=arguments,
            environment={**self.environment, **shared, "PYTHONUNBUFFERED": "1", **own},
            log_file=self.log_folder / f"{name}.log",
            stop_seconds=stop_seconds,
            essential=essential,
            kept_files=kept_files,
        )


def names_of_machine(listens_on: str, hostname: str) -> tuple[str, ...]:
    """Names by which other hosts reach this machine, if it listens for them. Pure."""
    name = hostname.lower()
    if is_loopback(listens_on) or not host_of(name):
        return ()
    return (name,) if "." in name else (name, f"{name}.local")


def _asr(*arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-m", "asr_cli", *arguments)


def threads_per_worker(workers: int, cpus: int) -> int | None:
    """An even share of the CPUs, or None where one worker may have them all."""
    return max(1, cpus // workers) if workers > 1 else None
