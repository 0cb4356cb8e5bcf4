"""Settings of the API."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from asr_api.settings.intake import IntakeSettings
from asr_api.settings.outbound import OutboundSettings
from asr_api.settings.web import OpenAiSettings, WebSettings
from asr_core.access.api_key import DIGEST_PATTERN, SECRET_PATTERN
from asr_core.settings.listening import ListeningSettings
from asr_core.settings.logs import LogSettings
from asr_core.settings.queue import QueueSettings, TenantSettings
from asr_core.settings.redis import RedisSettings
from asr_core.settings.store import RetentionSettings, StoreSettings


class ApiSettings(
    RedisSettings, QueueSettings, StoreSettings, RetentionSettings, TenantSettings, LogSettings,
    IntakeSettings, OutboundSettings, WebSettings, OpenAiSettings, ListeningSettings,
):  # fmt: skip
    """The API's settings. It only reports the retention settings; `asr retention` applies them."""

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
