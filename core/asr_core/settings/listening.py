"""Where programs listen."""

from __future__ import annotations

from pydantic import Field

from asr_core.settings.base import Settings


class ListeningSettings(Settings):
    """The API's address, by which other programs go too."""

    api_host: str = Field("127.0.0.1", min_length=1)


class MetricsSettings(ListeningSettings):
    """Where a worker, a courier or an operator answers Prometheus and probes."""

    metrics_host: str = Field(
        "", description="address of that port, `::` is every one; unset: that of the API"
    )
    metrics_port: int = Field(0, ge=0, le=65535, description="0: no metrics server")

    @property
    def metrics_address(self) -> str:
        """The host to listen on."""
        return self.metrics_host or self.api_host
