"""Which model `asr up` runs: `auto`, a name of the catalogue, which is fetched, or what workers
find themselves: the bundled model, a folder, a hub id.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec

from asr_cli.errors import ModelNotFetched, NoRoomForModel
from asr_cli.models.fetch import Fetcher
from asr_cli.models.progress import megabytes
from asr_core.errors import InvalidSetting
from asr_core.models import (
    AUTO,
    AUTO_NAME,
    EMBEDDED,
    CacheState,
    Model,
    catalogue,
    find_model,
    notice_of,
)


def choose(asked: str, fetcher: Fetcher, *, engine: str = "auto") -> str:
    """The model's name for the workers, in the cache where it is of the catalogue.

    `engine` is ASR_ENGINE. Raises ModelNotFetched, NoRoomForModel, InvalidSetting.
    """
    if asked == AUTO_NAME:
        return _auto(fetcher, engine)
    model = find_model(asked)
    if model is None:
        return asked
    if lacking := _lacking(model):
        raise InvalidSetting(f"{model.name} {lacking}")
    provide(model, fetcher)
    return model.name


def provide(model: Model, fetcher: Fetcher) -> None:
    """Fetches it unless it is cached. Raises ModelNotFetched, NoRoomForModel."""
    if fetcher.cached(model) is None:
        fetcher.console.note(f"{model.name}: {megabytes(model.size)}, {model.licence}")
        fetcher.fetch(model)


def _auto(fetcher: Fetcher, engine: str) -> str:
    """What is cached, else what can be fetched, else the bundled model, with a warning."""
    console = fetcher.console
    for model in _cached_first(fetcher, engine):
        if fetcher.cached(model):
            return model.name
    for model in AUTO:
        if lacking := _lacking(model):
            console.note(f"{model.name} {lacking}")
        elif _fits(model, engine):
            try:
                provide(model, fetcher)
                return model.name
            except (ModelNotFetched, NoRoomForModel) as error:
                console.problem(error.message)
    console.problem(f"no model for human speech is available: {notice_of(EMBEDDED)}")
    return EMBEDDED


def _cached_first(fetcher: Fetcher, engine: str) -> Iterator[Model]:
    """The models of `AUTO` in their order, then others in the cache, newest first."""
    there = [
        model
        for model in catalogue()
        if fetcher.cache.state(model) in (CacheState.CACHED, CacheState.UNCHECKED)
        and _fits(model, engine)
        and not _lacking(model)
    ]
    yield from (model for model in AUTO if model in there)
    others = [model for model in there if model not in AUTO]
    yield from sorted(others, key=fetcher.cache.fetched_at, reverse=True)


def _fits(model: Model, engine: str) -> bool:
    return engine == "auto" or engine in model.engines


def _lacking(model: Model) -> str:
    """Packages that it needs and that are not installed, in words; empty if there are none."""
    missing = [name for name in model.needs if find_spec(name) is None]
    if not missing:
        return ""
    return f"needs {', '.join(missing)}: pip install 'asr-platform[all]'"
