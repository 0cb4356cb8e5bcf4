"""What all settings have in common."""

from __future__ import annotations

from typing import Annotated, TypeVar

from pydantic import BeforeValidator
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

Item = TypeVar("Item")


def _split(value: object) -> object:
    if isinstance(value, str):
        return tuple(item.strip() for item in value.split(",") if item.strip())
    return value


def _none_if_empty(value: object) -> object:
    return None if value == "" else value


# `a, b` in the environment.
CommaSeparated = Annotated[tuple[Item, ...], NoDecode, BeforeValidator(_split)]
# Set to nothing is as good as unset. Bounds belong to the item:
# `OptionalFromEnv[Annotated[int, Field(ge=1)]]`.
OptionalFromEnv = Annotated[Item | None, BeforeValidator(_none_if_empty)]


class Settings(BaseSettings):
    model_config = SettingsConfigDict(
        env_prefix="ASR_", env_file=".env", env_file_encoding="utf-8", extra="ignore",
        populate_by_name=True, frozen=True, hide_input_in_errors=True,  # it may be a secret
    )  # fmt: skip

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Names of fields are for Python alone: else ASR_PORT would be the port of Redis.

        `forbid` keeps the source of `.env` from taking off the prefix of a name that it does not
        know; the model ignores such names.
        """
        for source in (env_settings, dotenv_settings):
            source.config = {**source.config, "populate_by_name": False, "extra": "forbid"}
        return init_settings, env_settings, dotenv_settings


GIB = 1024**3
