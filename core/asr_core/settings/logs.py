"""How a program logs."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import AliasChoices, Field

from asr_core.settings.base import OptionalFromEnv, Settings


class LogSettings(Settings):
    """`auto` is JSON on pipes and in pods, a console rendering on a terminal."""

    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    log_format: Literal["auto", "json", "console"] = "auto"
    log_dir: OptionalFromEnv[Path] = Field(
        None, validation_alias=AliasChoices("LOG_DIR", "ASR_LOG_DIR")
    )
