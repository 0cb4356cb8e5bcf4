"""Where models are cached, and whether they may be downloaded."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from asr_core.settings.base import CommaSeparated, OptionalFromEnv, Settings


class FolderSettings(Settings):
    """Where `asr up` keeps everything."""

    data: str = Field("data", min_length=1)


class ModelSettings(FolderSettings):
    """Models of the catalogue: the cache, and how it is filled."""

    model_cache: OptionalFromEnv[Path] = Field(
        None, description="folder of models; unset: `models` in the folder of ASR_DATA"
    )
    model_mirror: CommaSeparated[str] = Field(
        (), description="folders or URLs with NAME/FILE of each model, tried first"
    )
    offline: bool = Field(False, description="true: no model is downloaded")

    @property
    def cache_folder(self) -> Path:
        """Of the setting, else below the data folder."""
        return (self.model_cache or Path(self.data) / "models").absolute()
