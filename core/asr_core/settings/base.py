"""What all settings have in common."""

from __future__ import annotations

from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    model_config = SettingsConfigDict(
        env_prefix="ASR_", env_file=".env", env_file_encoding="utf-8", extra="ignore",
        populate_by_name=True, frozen=True, hide_input_in_errors=True,  # it may be a secret
    )  # fmt: skip


def names(value: object) -> object:
    """`a, b` as a tuple."""
    if isinstance(value, str):
        return tuple(name.strip() for name in value.split(",") if name.strip())
    return value


GIB = 1024**3
