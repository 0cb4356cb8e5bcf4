"""Result and limits of a probe, as plain data that crosses a pipe."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class ProbeReport:
    """`duration_seconds` is an estimate: the container's where the file size makes it
    plausible, else the sum of its packets.
    """

    container: str
    codec: str
    channels: int
    sample_rate_hz: int
    duration_seconds: float
    content_type: str

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class ProbeLimits:
    """Limits on the audio, and on the probe process."""

    max_duration_seconds: float
    max_channels: int
    cpu_seconds: float
    wall_seconds: float
    memory_bytes: int
