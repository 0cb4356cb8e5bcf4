"""What `model` may be: pools, served models, and the names that clients have hard-coded."""

from __future__ import annotations

import pytest

from asr_api.openai_contract.model_names import named
from asr_api.settings.api import ApiSettings
from asr_core.options import TaskOptions
from asr_core.queue import ServedModel

FAST = ServedModel("iic/SenseVoiceSmall", frozenset(), frozenset())
LARGE = ServedModel("/models/paraformer-large-zh", frozenset(), frozenset())


@pytest.mark.parametrize(
    ("model", "pool"),
    [
        *(("default", "default"), ("large", "large"), ("whisper-1", "default")),
        *(("iic/SenseVoiceSmall", "default"), ("FunAudioLLM/SenseVoiceSmall", "default")),
        *(("sensevoice", "default"), ("SenseVoiceSmall", "default")),
        *(("paraformer", "large"), ("paraformer-zh", "large"), ("funasr/paraformer-zh", "large")),
        *(("paraformer-large-zh", "large"), ("fun-asr-nano", "default")),
    ],
)
def test_names_that_clients_hard_code_mean_the_model_that_serves(model: str, pool: str) -> None:
    chosen = named(model, {"default": [FAST], "large": [LARGE]}, TaskOptions())
    assert chosen is not None
    assert chosen.pool == pool


def test_a_name_that_nobody_knows_means_nothing() -> None:
    for model in ("whisper-9", "large-v3", "whispering-base", "distil-9", "tts-1", ""):
        assert named(model, {"default": [FAST]}, TaskOptions()) is None
    alone = named("paraformer-zh", {"default": []}, TaskOptions())
    assert alone is not None
    assert alone.pool == "default"


BASE = ServedModel("/models/whisper-base", frozenset({"task", "prompt"}), frozenset())
TURBO = ServedModel("Systran/faster-whisper-large-v3-turbo", frozenset(), frozenset())


@pytest.mark.parametrize(
    "model",
    [
        *("whisper-1", "gpt-4o-transcribe", "gpt-4o-mini-transcribe", "gpt-4o-transcribe-diarize"),
        *("gpt-4o-mini-transcribe-2025-12-15", "gpt-transcribe", "whisper", "Whisper-Large-v3"),
        *("whisper-large-v3", "whisper-large-v3-turbo", "distil-whisper-large-v3-en"),
        *("openai/whisper-large-v3", "Systran/faster-whisper-small.en", "whisper-turbo"),
        *("Systran/faster-distil-whisper-large-v3", "distil-whisper/distil-large-v3.5-ct2"),
        *("deepdml/faster-whisper-large-v3-turbo-ct2", "openai/whisper-tiny", "whisper-large"),
    ],
)
def test_names_that_openais_groqs_and_speaches_clients_send_are_known(model: str) -> None:
    """Some programs have no field for it."""
    chosen = named(model, {"default": [FAST]}, TaskOptions())
    assert chosen is not None
    assert (chosen.pool, chosen.served) == ("default", [FAST])


@pytest.mark.parametrize(
    ("model", "pool"),
    [
        *(("openai/whisper-large-v3-turbo", "turbo"), ("large-v3-turbo", "turbo")),
        *(("whisper-turbo", "turbo"), ("deepdml/faster-whisper-large-v3-turbo-ct2", "turbo")),
        *(("whisper-base", "base"), ("base", "base"), ("Systran/faster-whisper-base", "base")),
        *(("whisper-large-v3", "base"), ("distil-whisper/distil-large-v3", "base")),
        *(("whisper-1", "default"), ("gpt-4o-transcribe", "default"), ("large-v3", None)),
    ],
)
def test_a_whisper_is_the_one_that_was_named_else_any_that_is_served(
    model: str, pool: str | None
) -> None:
    pools = {"default": [FAST], "base": [BASE], "turbo": [TURBO]}
    chosen = named(model, pools, TaskOptions())
    assert (chosen and chosen.pool) == pool


def test_a_hard_coded_name_means_for_a_translation_a_pool_that_translates() -> None:
    """OpenAI's endpoint knows `whisper-1` alone: it says nothing about which pool is meant."""
    translation = TaskOptions(task="translate")

    def pool(model: str = "whisper-1", **pools: list[ServedModel]) -> str | None:
        chosen = named(model, pools, translation)
        return chosen.pool if chosen else None

    assert pool(default=[FAST], turbo=[TURBO], base=[BASE]) == "base"
    assert pool(default=[BASE], other=[BASE]) == "default"
    assert pool(default=[FAST], unknown=[], base=[BASE]) == "base"
    assert pool(default=[FAST], unknown=[]) == "unknown"
    assert pool(default=[], base=[BASE]) == "default"
    assert pool(default=[FAST]) == "default"
    assert pool("whisper-large-v3", default=[FAST], turbo=[TURBO], base=[BASE]) == "base"
    assert pool("whisper-turbo", default=[FAST], turbo=[TURBO], base=[BASE]) == "turbo"
    assert pool(default=[FAST, BASE], base=[BASE]) == "base", "any of a pool may get the task"


def test_aliases_are_a_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASR_OPENAI_ALIASES", "whisper-large-v3, base = large")
    settings = ApiSettings(_env_file=None)
    assert settings.model_aliases == {"whisper-large-v3": "default", "base": "large"}
