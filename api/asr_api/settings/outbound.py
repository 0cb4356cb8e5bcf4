"""Where the platform may call, and how it signs."""

from __future__ import annotations

from base64 import b64decode
from typing import Annotated

from pydantic import Field, field_validator
from pydantic_settings import NoDecode

from asr_core.settings.base import Settings, names


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
