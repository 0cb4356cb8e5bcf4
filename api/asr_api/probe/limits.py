"""The limits of the header probe, from the settings."""

from __future__ import annotations

from asr_api.probe.report import ProbeLimits
from asr_api.settings.intake import IntakeSettings


def probe_limits(settings: IntakeSettings) -> ProbeLimits:
    """Resource limits of one probe."""
    return ProbeLimits(
        max_duration_seconds=settings.max_duration_seconds,
        max_channels=settings.max_channels,
        cpu_seconds=settings.probe_timeout_seconds,
        wall_seconds=2 * settings.probe_timeout_seconds,
        memory_bytes=settings.probe_memory_bytes,
    )
