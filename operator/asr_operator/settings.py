"""Settings of the operator."""

from __future__ import annotations

from pydantic import AliasChoices, Field

from asr_core.settings.base import CommaSeparated
from asr_core.settings.listening import MetricsSettings
from asr_core.settings.logs import LogSettings
from asr_core.settings.queue import QueueSettings
from asr_core.settings.redis import RedisSettings


class OperatorSettings(RedisSettings, QueueSettings, LogSettings, MetricsSettings):
    """The operator's settings. Its Redis is used for pools whose resource names no Secret."""

    watch_namespaces: CommaSeparated[str] = Field(
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
