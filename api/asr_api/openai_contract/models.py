"""Which pool a `model` means. Pool names, the ids of the models that serve them, and OpenAI's own
names for whoever cannot change theirs.
"""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import BaseModel

from asr_api.errors import ModelNotFound
from asr_api.services import Services
from asr_core.queue import ServedModel, list_models
from asr_core.task import DEFAULT_POOL

ALIASES = (
    *("whisper-1", "gpt-4o-transcribe", "gpt-4o-mini-transcribe", "gpt-transcribe"),
    "gpt-4o-transcribe-diarize",
)
OWNER = "asr-platform"


class ModelBody(BaseModel):
    """One model, as `GET /v1/models/{model}` answers. Its age is not known."""

    id: str
    object: str = "model"
    created: int = 0
    owned_by: str = OWNER


class ModelListBody(BaseModel):
    """Every model, as `GET /v1/models` answers."""

    object: str = "list"
    data: list[ModelBody]


@dataclass(frozen=True)
class Chosen:
    """A pool and what serves it; nothing is known of a pool whose workers were never seen."""

    pool: str
    served: list[ServedModel]

    @property
    def writes_numbers(self) -> bool:
        """Whether punctuation and digits may be asked for, as OpenAI's models give them."""
        return bool(self.served) and all("itn" in model.features for model in self.served)


async def served_by_pool(services: Services) -> dict[str, list[ServedModel]]:
    """Every configured pool, the default one first."""
    pools = sorted(services.settings.pools, key=lambda pool: pool != DEFAULT_POOL)
    return {pool: await list_models(services.connection, pool) for pool in pools}


async def choose(services: Services, model: str) -> Chosen:
    """Raises ModelNotFound."""
    by_pool = await served_by_pool(services)
    if model in by_pool:
        return Chosen(model, by_pool[model])
    for pool, served in by_pool.items():
        named = [one for one in served if one.model_id == model]
        if named:
            return Chosen(pool, named)
    if model in ALIASES:
        pool = next(iter(by_pool))
        return Chosen(pool, by_pool[pool])
    known = ", ".join(ids(by_pool))
    raise ModelNotFound(f"There is no model {model[:200]!r}; there are: {known}.", param="model")


def ids(by_pool: dict[str, list[ServedModel]]) -> list[str]:
    """Names that a request may use, but for the aliases; each once."""
    told = [*by_pool, *(one.model_id for served in by_pool.values() for one in served)]
    return list(dict.fromkeys(told))
