"""Settings are read by their documented names alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from asr_core.settings.redis import RedisSettings
from asr_core.settings.store import RetentionSettings

READ = ("url", "host", "port", "db", "username", "password")


@pytest.mark.parametrize("from_file", [False, True])
def test_the_name_of_a_field_is_no_name_of_a_setting(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, from_file: bool
) -> None:
    """A Service called `asr` gives every pod beside it an ASR_PORT."""
    names = {f"ASR_{name.upper()}": "tcp://10.0.0.1:8000" for name in READ}
    names["ASR_MAX_RECORDINGS"] = "3"
    if from_file:
        lines = "".join(f"{name}={value}\n" for name, value in names.items())
        (tmp_path / ".env").write_text(lines)
        monkeypatch.chdir(tmp_path)
    else:
        for name, value in names.items():
            monkeypatch.setenv(name, value)
    settings = RedisSettings()
    assert (settings.url, settings.host, settings.port, settings.db) == ("", "127.0.0.1", 6379, 0)
    assert (settings.username, settings.password) == ("", "")
    assert RetentionSettings().max_recordings == 10


def test_documented_names_are_read_and_fields_serve_python(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_PORT", "7000")
    monkeypatch.setenv("ASR_REDIS_URL", "redis://redis:7001/0")
    assert RedisSettings(_env_file=None).port == 7000  # type: ignore[call-arg]
    assert RedisSettings(_env_file=None).url == "redis://redis:7001/0"  # type: ignore[call-arg]
    assert RedisSettings(_env_file=None, port=7002).port == 7002  # type: ignore[call-arg]
