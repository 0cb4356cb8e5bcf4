"""Resolves names of the catalogue to folders of the model cache. Nothing is fetched here: a worker
loads what `asr up` or `asr models pull` has put there.
"""

from __future__ import annotations

from pathlib import Path

from asr_core.errors import ModelDamaged
from asr_core.models import AUTO, AUTO_NAME, ModelCache, find_model
from asr_worker.errors import ModelNotLoaded


def cached_folder(name: str, cache_folder: Path | None) -> tuple[str, Path] | None:
    """The model's own name (`whisper-base` for `base`) and its verified folder; None for what is no
    name of the catalogue, or where there is no cache. `auto` is the best one that is cached.

    Raises ModelNotLoaded.
    """
    if cache_folder is None:
        return None
    cache = ModelCache(cache_folder)
    model = find_model(name)
    if name == AUTO_NAME:
        model = next((each for each in AUTO if cache.folder(each).is_dir()), AUTO[-1])
    if model is None:
        return None
    try:
        folder = cache.verified(model)
    except (ModelDamaged, OSError) as error:
        raise ModelNotLoaded(f"model {name!r}: {error}") from error
    if folder is None:
        raise ModelNotLoaded(
            f"model {name!r} is not in {cache_folder}: `asr models pull {model.name}` fetches it "
            "there; ASR_MODEL_CACHE names another folder"
        )
    return model.name, folder
