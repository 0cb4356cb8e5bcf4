"""Which recordings are accepted, and where they are spooled."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from asr_core.settings.base import GIB, OptionalFromEnv, Settings


class IntakeSettings(Settings):
    """Which recordings are taken in, and where they wait meanwhile."""

    max_upload_bytes: int = Field(2 * GIB, ge=1)
    max_duration_seconds: float = Field(10 * 3600.0, gt=0)
    max_channels: int = Field(16, ge=1)
    spool_dir: OptionalFromEnv[Path] = Field(
        None, description="unset: a folder under the system's temporary one"
    )
    spool_max_bytes: int = Field(8 * GIB, ge=1, description="all uploads in flight together")
    probe_timeout_seconds: float = Field(20.0, gt=0)
    probe_processes: int = Field(2, ge=1, description="files looked into at the same time")
    probe_memory_bytes: int = Field(
        GIB, ge=GIB // 4, description="address space of one probe process"
    )
