"""What one tenant may take of the platform, and what it took."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True)
class TenantLimits:
    """0 is no limit; None is the platform's default, from the settings."""

    weight: float | None = None
    rate_per_minute: int | None = None
    open_tasks: int | None = None
    stored_bytes: int | None = None


@dataclass(frozen=True)
class Usage:
    """What one tenant had transcribed on one day (UTC); completed tasks only."""

    day: date
    tenant: str
    tasks: int
    audio_seconds: float
