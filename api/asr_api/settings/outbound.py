"""Where the platform may call, and how it signs."""

from __future__ import annotations

from base64 import b64decode

from pydantic import Field, field_validator

from asr_core.settings.base import CommaSeparated, Settings


class OutboundSettings(Settings):
    """Where the platform may call, and how it signs."""

    webhook_secret: CommaSeparated[str] = Field(
        (), repr=False, description="`whsec_` and base64; several sign together; unset: no webhooks"
    )
    allow_private_urls: CommaSeparated[str] = Field(
        (), description="hosts and networks that may be called though they are private"
    )

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
