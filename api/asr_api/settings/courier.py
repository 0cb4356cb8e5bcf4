"""Settings of the courier."""

from __future__ import annotations

from pydantic import Field

from asr_api.settings.intake import IntakeSettings
from asr_api.settings.outbound import OutboundSettings
from asr_api.settings.web import PathSettings
from asr_core.settings.base import CommaSeparated
from asr_core.settings.listening import MetricsSettings
from asr_core.settings.logs import LogSettings
from asr_core.settings.queue import QueueSettings
from asr_core.settings.redis import RedisSettings
from asr_core.settings.store import StoreSettings


class CourierSettings(
    RedisSettings, QueueSettings, StoreSettings, LogSettings, IntakeSettings, OutboundSettings,
    PathSettings, MetricsSettings,
):  # fmt: skip
    """The courier's settings."""

    webhook_timeout_seconds: float = Field(
        10.0, gt=0, description="one try, from the look-up of the name to the reply"
    )
    webhook_retry_seconds: CommaSeparated[float] = Field(
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
