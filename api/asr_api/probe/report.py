"""What a probe found, as plain data that crosses a pipe."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class ProbeReport:
    """`duration_seconds` is an estimate: what the container says where the file's size allows it,
    else what its packets add up to.
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
    """What is refused, and what a probe may use."""

    max_duration_seconds: float
    max_channels: int
    cpu_seconds: float
    wall_seconds: float
    memory_bytes: int
