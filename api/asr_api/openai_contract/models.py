"""Maps `model` to a pool: pool names, ids of served models, and OpenAI's names for clients with
a fixed model.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from pydantic import BaseModel, Field

from asr_api.errors import ModelNotFound
from asr_api.settings.api import ApiSettings
from asr_core.models.entry import notice_of
from asr_core.queue import RedisConnection, ServedModel, list_models
from asr_core.task import DEFAULT_POOL
from asr_core.text_limits import shortened

_ALIASES = (
    *("whisper-1", "gpt-4o-transcribe", "gpt-4o-mini-transcribe", "gpt-transcribe"),
    "gpt-4o-transcribe-diarize",
)
# Model names that clients of FunASR's OpenAI server hard-code, and the model families they mean.
_FUNASR = {
    "sensevoice": "sensevoice", "sensevoicesmall": "sensevoice", "fun-asr-nano": "nano",
    "paraformer": "paraformer", "paraformer-zh": "paraformer", "paraformer-en": "paraformer",
}  # fmt: skip
OWNER = "asr-platform"


class ModelBody(BaseModel):
    """One model, as `GET /v1/models/{model}` answers. Its age is not known."""

    id: str
    object: str = "model"
    created: int = 0
    owned_by: str = OWNER
    notice: str | None = Field(
        None, description="a warning: the bundled model knows no human voice"
    )

    @classmethod
    def of(cls, name: str, chosen: Chosen | None) -> ModelBody:
        """With the notice of whatever serves that name."""
        served = chosen.served if chosen else []
        notices = (notice_of(each.model_id) for each in served)
        return cls(id=name, notice=next(filter(None, notices), None))


class ModelListBody(BaseModel):
    """Every model, as `GET /v1/models` answers."""

    object: str = "list"
    data: list[ModelBody]


@dataclass(frozen=True)
class Chosen:
    """A pool and its served models; empty for a pool that never had a worker."""

    pool: str
    served: list[ServedModel]

    @property
    def writes_numbers(self) -> bool:
        """Whether `itn` is supported; OpenAI's models always write punctuation and digits."""
        return bool(self.served) and all("itn" in model.features for model in self.served)


async def served_by_pool(
    connection: RedisConnection, pools: Iterable[str]
) -> dict[str, list[ServedModel]]:
    """Every configured pool, the default one first."""
    ordered = sorted(pools, key=lambda pool: pool != DEFAULT_POOL)
    return {pool: await list_models(connection, pool) for pool in ordered}


async def choose(connection: RedisConnection, settings: ApiSettings, model: str) -> Chosen:
    """Raises ModelNotFound."""
    by_pool = await served_by_pool(connection, settings.pools)
    aliases = settings.model_aliases
    chosen = named(aliases.get(model, model), by_pool)
    if chosen is None:
        known = ", ".join(ids(by_pool, aliases))
        raise ModelNotFound(
            f"There is no model {shortened(model)}; there are: {known}.", param="model"
        )
    return chosen


def named(model: str, by_pool: Mapping[str, list[ServedModel]]) -> Chosen | None:
    """Resolve a pool name, a served model (any hub owner), or an alias. Pure."""
    if model in by_pool:
        return Chosen(model, by_pool[model])
    short = _short(model)
    family = _FUNASR.get(short)
    tests: list[Callable[[str], bool]] = [
        lambda served: served == model,
        lambda served: _short(served) == short,
        lambda served: family is not None and family in served.lower(),
    ]
    for fits in tests:
        for pool, served in by_pool.items():
            if found := [one for one in served if fits(one.model_id)]:
                return Chosen(pool, found)
    if model in _ALIASES or family is not None:
        pool = next(iter(by_pool))
        return Chosen(pool, by_pool[pool])
    return None


def _short(model: str) -> str:
    """`iic/SenseVoiceSmall` and `FunAudioLLM/SenseVoiceSmall` are one model on two hubs."""
    return model.rstrip("/").rpartition("/")[2].lower()


def ids(by_pool: Mapping[str, list[ServedModel]], aliases: Iterable[str]) -> list[str]:
    """Valid values of `model`, deduplicated, without the built-in aliases."""
    names = [*by_pool, *(one.model_id for served in by_pool.values() for one in served)]
    return list(dict.fromkeys([*names, *aliases]))
