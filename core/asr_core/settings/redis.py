"""Where Redis is."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from pydantic import AliasChoices, Field, field_validator, model_validator

from asr_core.settings.base import CommaSeparated, OptionalFromEnv, Settings
from asr_core.settings.redis_address import redis_address


class RedisSettings(Settings):
    """Where Redis is. `ASR_REDIS_URL` wins over the single parts."""

    url: str = Field("", validation_alias=AliasChoices("ASR_REDIS_URL", "REDIS_URL"), repr=False)
    host: str = Field("127.0.0.1", validation_alias="REDIS_HOST")
    port: int = Field(6379, ge=1, le=65535, validation_alias="REDIS_PORT")
    db: int = Field(0, ge=0, validation_alias="REDIS_DB")
    username: str = Field("", validation_alias="REDIS_USERNAME")
    password: str = Field("", validation_alias="REDIS_PASSWORD", repr=False)
    tls: bool = Field(False, validation_alias="REDIS_TLS", description="as `rediss://` in a URL")
    ca_file: OptionalFromEnv[Path] = Field(None, validation_alias="REDIS_CA_FILE")
    cert_file: OptionalFromEnv[Path] = Field(None, validation_alias="REDIS_CERT_FILE")
    key_file: OptionalFromEnv[Path] = Field(None, validation_alias="REDIS_KEY_FILE")
    sentinels: CommaSeparated[str] = Field(
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

    @field_validator("url", "host", mode="after")
    @classmethod
    def _strip(cls, value: str) -> str:
        return value.strip()  # Secrets often end in a line feed

    @model_validator(mode="after")
    def _can_be_served(self) -> Self:
        redis_address(self)
        return self
