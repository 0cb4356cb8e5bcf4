"""Maps `model` to a pool by what the workers say that they serve."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import BaseModel, Field

from asr_api.errors import ModelNotFound
from asr_api.openai_contract.model_names import TRANSCRIBE, Chosen, ids, named
from asr_api.settings.api import ApiSettings
from asr_api.submission.validate import all_do, cannot_translate
from asr_core.models.entry import notice_of
from asr_core.options import TaskOptions
from asr_core.queue import RedisConnection, ServedModel, list_models
from asr_core.task import DEFAULT_POOL
from asr_core.text_limits import shortened

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


async def served_by_pool(
    connection: RedisConnection, pools: Iterable[str]
) -> dict[str, list[ServedModel]]:
    """Every configured pool, the default one first."""
    ordered = sorted(pools, key=lambda pool: pool != DEFAULT_POOL)
    return {pool: await list_models(connection, pool) for pool in ordered}


async def choose(
    connection: RedisConnection,
    settings: ApiSettings,
    model: str,
    task: TaskOptions = TRANSCRIBE,
) -> Chosen:
    """Where a name leads. Raises ModelNotFound; ModelCannotTranslate if any model of that pool is
    known not to.
    """
    by_pool = await served_by_pool(connection, settings.pools)
    aliases = settings.model_aliases
    chosen = named(aliases.get(model, model), by_pool, task)
    if chosen is None:
        known = ", ".join(ids(by_pool, aliases))
        raise ModelNotFound(
            f"There is no model {shortened(model)}; there are: {known}.", param="model"
        )
    if not all_do(task, by_pool[chosen.pool]):
        raise cannot_translate(chosen.pool, by_pool, task, param="model")
    return chosen
