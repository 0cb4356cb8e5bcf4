"""Limits and usage of a tenant."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True)
class TenantLimits:
    """0: unlimited; None: the platform's default from the settings."""

    weight: float | None = None
    rate_per_minute: int | None = None
    open_tasks: int | None = None
    stored_bytes: int | None = None


@dataclass(frozen=True)
class Usage:
    """Audio transcribed for one tenant on one day (UTC); completed tasks only.

    `speech_seconds` counts tasks whose worker looked for speech: of a release before this, none.
    """

    day: date
    tenant: str
    tasks: int
    audio_seconds: float
    speech_seconds: float = 0.0
