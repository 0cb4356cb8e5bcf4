"""Settings of the API that concern its callers: browsers, proxies, clients of OpenAI."""

from __future__ import annotations

import re
from ipaddress import ip_network

from pydantic import AliasChoices, Field, field_validator

from asr_core.access.hosts import listed_host
from asr_core.settings.base import CommaSeparated, Settings
from asr_core.task import DEFAULT_POOL

_ROOT_PATH = re.compile(r"((/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)+)?")
_ORIGIN = re.compile(r"\*|null|[a-z][a-z0-9+.-]*://([a-z0-9._-]+|\[[0-9a-f:.]+\])(:\d{1,5})?")


def is_root_path(text: str) -> bool:
    """Whether it is empty, or a path that can stand before every other one, as `/asr`."""
    return bool(_ROOT_PATH.fullmatch(text))


class PathSettings(Settings):
    """Under which path a proxy shows the API."""

    root_path: str = Field("", description="`/asr`, where a proxy shows the API under a path")

    @field_validator("root_path")
    @classmethod
    def _check_root_path(cls, path: str) -> str:
        path = path.rstrip("/")
        if not is_root_path(path):
            raise ValueError(f"{path!r} is not a path prefix: write it as /asr")
        return path


class WebSettings(PathSettings):
    """Who may reach the API from where: browsers and proxies."""

    cors_origins: CommaSeparated[str] = Field(
        (),
        description="`https://app.example.com, …`: pages that may use the API from a browser; `*`: "
        "all; unset: those of its own origin",
    )
    trusted_proxies: CommaSeparated[str] = Field(
        ("127.0.0.1", "::1"),
        validation_alias=AliasChoices("ASR_TRUSTED_PROXIES", "FORWARDED_ALLOW_IPS"),
        description="addresses and networks whose `X-Forwarded-*` headers are believed; `*`: all",
    )

    allowed_hosts: CommaSeparated[str] = Field(
        (),
        description="without keys: the names that the API is called by, beside IP addresses and "
        "localhost; `*.example.org`: all below it; `*`: any",
    )

    @field_validator("cors_origins")
    @classmethod
    def _check_origins(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        cleaned = tuple(origin.lower().rstrip("/") for origin in origins)
        for origin in cleaned:
            if not _ORIGIN.fullmatch(origin):
                raise ValueError(
                    f"{origin!r} is not an origin: write scheme, host and port, as in "
                    "https://app.example.com:8443, or * for all"
                )
        return cleaned

    @field_validator("allowed_hosts")
    @classmethod
    def _check_hosts(cls, hosts: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(map(listed_host, hosts))

    @field_validator("trusted_proxies")
    @classmethod
    def _check_proxies(cls, proxies: tuple[str, ...]) -> tuple[str, ...]:
        for proxy in proxies:
            if proxy != "*":
                try:
                    ip_network(proxy)
                except ValueError as error:
                    raise ValueError(f"each must be an address or a network: {error}") from None
        return proxies


class OpenAiSettings(Settings):
    """How OpenAI's contract is kept."""

    openai_strict: bool = Field(
        False, description="refuse what the model cannot heed, and fields that are not known"
    )
    openai_aliases: CommaSeparated[str] = Field(
        (),
        description="`whisper-large-v3, base=fast`: more names that `model` may have, each for a "
        "pool or a model; without one, for the default pool",
    )

    @property
    def model_aliases(self) -> dict[str, str]:
        """Each name with the pool or model that it stands for."""
        pairs = (alias.partition("=") for alias in self.openai_aliases)
        return {name.strip(): target.strip() or DEFAULT_POOL for name, _, target in pairs}
