"""A misspelt setting is named; what other programs read is not taken for one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from asr_core.process.setting_names import unknown_settings, warn_of_unknown_settings
from asr_core.settings.redis import RedisSettings


@pytest.mark.parametrize(
    ("variable", "meant"),
    [
        ("ASR_GRACE_SECOND", "ASR_GRACE_SECONDS"),
        ("ASR_BATCHSIZE", "ASR_BATCH_SIZE"),
        ("ASR_REDIS_HOST", "REDIS_HOST"),
        ("ASR_MAX_RECORDINGS", "MAX_RECORDINGS"),
        ("asr_webhook_secrets", "ASR_WEBHOOK_SECRET"),
        ("ASR_PORT", "ASR_API_PORT"),
        ("ASR_HOST", "ASR_API_HOST"),
        ("ASR_SOMETHING_ELSE", ""),
    ],
)
def test_the_nearest_name_is_told(variable: str, meant: str) -> None:
    assert unknown_settings({variable: "x"}) == {variable.upper(): meant}


@pytest.mark.parametrize(
    "variable",
    [
        "ASR_WATCH_NAMESPACES", "ASR_VAD_MODEL", "ASR_FETCHES_AT_ONCE", "ASR_LONGPOLL_MAX_SECONDS",
        "ASR_RESULTS_MAX_AGE_DAYS", "ASR_DATA", "ASR_API_KEY", "ASR_SERVER", "ASR_LOG_DIR",
        "asr_batch_size", "ASR_TEST_CLUSTER", "ASR_TOOLS_CACHE", "REDIS_HOTS", "PATH", "ASRX",
    ],
)  # fmt: skip
def test_no_alarm_for_what_any_program_reads_nor_for_what_is_no_setting(variable: str) -> None:
    assert unknown_settings({variable: "x"}) == {}


def test_no_alarm_for_the_links_that_kubernetes_makes_for_a_service_named_asr_redis() -> None:
    links = {
        "ASR_REDIS_SERVICE_HOST": "10.0.0.7",
        "ASR_REDIS_SERVICE_PORT": "6379",
        "ASR_REDIS_SERVICE_PORT_REDIS": "6379",
        "ASR_REDIS_PORT": "tcp://10.0.0.7:6379",
        "ASR_REDIS_PORT_6379_TCP": "tcp://10.0.0.7:6379",
        "ASR_REDIS_PORT_6379_TCP_PROTO": "tcp",
        "ASR_REDIS_PORT_6379_TCP_PORT": "6379",
        "ASR_REDIS_PORT_6379_TCP_ADDR": "10.0.0.7",
    }
    assert unknown_settings(links) == {}


def test_the_log_names_those_of_the_environment_and_of_the_file_without_their_values(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in os.environ if name.upper().startswith("ASR_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text("ASR_BOOTSTRAP_KEYS=secret\nASR_MODEL=embedded\nASR_BARE\n")
    monkeypatch.setenv("ASR_USE_GPUS", "secret")
    with capture_logs() as logs:
        warn_of_unknown_settings()
    told = {log["variable"]: log["nearest"] for log in logs if log["event"] == "setting_not_known"}
    assert told == {
        "ASR_BOOTSTRAP_KEYS": "ASR_BOOTSTRAP_KEY",
        "ASR_USE_GPUS": "ASR_USE_GPU",
        "ASR_BARE": None,
    }
    assert {log["log_level"] for log in logs} == {"warning"}
    assert "secret" not in str(logs)


def test_a_field_s_name_is_none_of_a_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    """ASR_PORT once was the port of Redis, which nobody who sets it means."""
    monkeypatch.setenv("ASR_PORT", "8080")
    monkeypatch.setenv("ASR_HOST", "::")
    settings = RedisSettings(_env_file=None)  # type: ignore[call-arg]
    assert (settings.port, settings.host) == (6379, "127.0.0.1")
    assert RedisSettings(_env_file=None, port=7000).port == 7000  # type: ignore[call-arg]
