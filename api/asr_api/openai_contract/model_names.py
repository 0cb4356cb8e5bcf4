"""Names that `model` may have: those of pools and of served models, and those that clients have
hard-coded. Pure.

Where a client cannot be told another name, what answers is this server's own model: one of the
family that was named, if some pool serves it, else that of the default pool.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from asr_api.submission.validate import all_do
from asr_core.options import TaskOptions
from asr_core.queue import ServedModel

TRANSCRIBE = TaskOptions()
# Source: `openai.types.audio_model`.
_OPENAI = frozenset(
    {
        *("whisper-1", "gpt-transcribe", "gpt-4o-transcribe", "gpt-4o-mini-transcribe"),
        *("gpt-4o-mini-transcribe-2025-12-15", "gpt-4o-transcribe-diarize"),
    }
)
# Model names that clients of FunASR's OpenAI server hard-code, and the model families they mean.
_FUNASR = {
    "sensevoice": "sensevoice", "sensevoicesmall": "sensevoice", "fun-asr-nano": "nano",
    "paraformer": "paraformer", "paraformer-zh": "paraformer", "paraformer-en": "paraformer",
}  # fmt: skip
_WHISPER_SIZES = frozenset(
    {
        *("tiny", "tiny.en", "base", "base.en", "small", "small.en", "medium", "medium.en"),
        *("large-v1", "large-v2", "large-v3", "large-v3.5", "large-v3-turbo"),
    }
)
_LATEST = {"large": "large-v3", "turbo": "large-v3-turbo"}
_NOT_A_SIZE = frozenset({"openai", "faster", "distil", "whisper", "ct2", "en"})


@dataclass(frozen=True)
class Chosen:
    """A pool and its served models; empty for a pool that never had a worker."""

    pool: str
    served: list[ServedModel]

    @property
    def writes_numbers(self) -> bool:
        """Whether `itn` is supported; OpenAI's models always write punctuation and digits."""
        return bool(self.served) and all("itn" in model.features for model in self.served)


def named(
    model: str, by_pool: Mapping[str, list[ServedModel]], task: TaskOptions = TRANSCRIBE
) -> Chosen | None:
    """Resolve a pool name, a served model (any hub owner), or an alias; `by_pool` begins with the
    default pool. Of several models that a name fits alike, one that can do the task is taken. None
    for a name that means nothing here.
    """
    if model in by_pool:
        return Chosen(model, by_pool[model])
    able_first = sorted(by_pool.items(), key=lambda pool: not all_do(task, pool[1]))
    for fits in _tests(model):
        for pool, served in able_first:
            if found := [one for one in served if fits(one.model_id)]:
                return Chosen(pool, found)
    if _is_alias(_short(model)):
        pool = _pool_of_aliases(by_pool, task)
        return Chosen(pool, by_pool[pool])
    return None


def whisper_size(model: str) -> str | None:
    """The size of a Whisper in any of the spellings of its makers and hubs: `large-v3` of
    `Systran/faster-whisper-large-v3`, `distil-large-v3` of `distil-whisper-large-v3-en`; None for
    other models.
    """
    name = _short(model)
    size = "-".join(part for part in name.split("-") if part not in _NOT_A_SIZE)
    size = _LATEST.get(size, size)
    if size not in _WHISPER_SIZES:
        return None
    return f"distil-{size}" if "distil" in name.split("-") else size


def ids(by_pool: Mapping[str, list[ServedModel]], aliases: Iterable[str]) -> list[str]:
    """Valid values of `model`, deduplicated, without the built-in aliases."""
    names = [*by_pool, *(one.model_id for served in by_pool.values() for one in served)]
    return list(dict.fromkeys([*names, *aliases]))


def _tests(model: str) -> list[Callable[[str], bool]]:
    """Which served models a name means, the closest first."""
    short, size = _short(model), whisper_size(model)
    family = _FUNASR.get(short)
    return [
        lambda served: served == model,
        lambda served: _short(served) == short,
        lambda served: size is not None and whisper_size(served) == size,
        lambda served: family is not None and family in served.lower(),
        lambda served: _names_whisper(short) and whisper_size(served) is not None,
    ]


def _is_alias(short: str) -> bool:
    return short in _OPENAI or short in _FUNASR or _names_whisper(short)


def _names_whisper(short: str) -> bool:
    """Whether a client means Whisper: a size alone might be somebody's misspelt pool."""
    if short == "whisper":
        return True
    said = short.split("-")
    return ("whisper" in said or said[0] == "distil") and whisper_size(short) is not None


def _pool_of_aliases(by_pool: Mapping[str, list[ServedModel]], task: TaskOptions) -> str:
    """The default pool; for what it cannot do the first that can, or whose models nobody knows."""
    default = next(iter(by_pool))
    if all_do(task, by_pool[default]):
        return default
    able = [pool for pool, served in by_pool.items() if all_do(task, served)]
    able.sort(key=lambda pool: not by_pool[pool])
    return able[0] if able else default


def _short(model: str) -> str:
    """`iic/SenseVoiceSmall` and `FunAudioLLM/SenseVoiceSmall` are one model on two hubs."""
    return model.rstrip("/").rpartition("/")[2].lower()
