"""Chooses and loads the engine for the configured model."""

from __future__ import annotations

import os
from typing import Final

from asr_worker.engines.automodel import AutoModelEngine
from asr_worker.engines.base import Engine
from asr_worker.engines.declaration import DeclaredEngine
from asr_worker.engines.funasr_models import OFFLINE, ModelFolder, find_model, pick_device
from asr_worker.engines.paraformer import ParaformerEngine
from asr_worker.engines.remote import NO_FOLDER, RemoteEngine
from asr_worker.engines.sensevoice import SenseVoiceEngine
from asr_worker.engines.speaker_model import DiarizingEngine, SpeakerModel
from asr_worker.engines.whisper.engine import WhisperEngine
from asr_worker.errors import ModelNotLoaded
from asr_worker.settings import WorkerSettings

# The registry: a new engine is its file and its line here. The last one takes every architecture
# that `auto` gives to no other.
ENGINES: Final[tuple[type[DeclaredEngine], ...]] = (
    SenseVoiceEngine,
    ParaformerEngine,
    WhisperEngine,
    RemoteEngine,
    AutoModelEngine,
)


def load_engine(settings: WorkerSettings) -> Engine:
    """Finds the model, chooses its engine, loads it and warms it up. Raises ModelNotLoaded."""
    device = pick_device(settings.use_gpu)
    if settings.offline:
        os.environ[OFFLINE] = "1"  # before a library that downloads is imported
    folder = _folder(settings)
    chosen = _chosen(settings, folder.architecture)
    precision = chosen.precision_on(device, settings)
    if precision not in chosen.precisions:
        able = ", ".join(each.name for each in ENGINES if precision in each.precisions)
        raise ModelNotLoaded(f"precision {precision} is for the engines {able} only")
    engine = chosen.create(folder, device, settings)
    engine.load()
    if settings.speaker_model:
        speakers = find_model(settings.speaker_model)
        engine = DiarizingEngine(engine, SpeakerModel(speakers, device, settings.cpu_threads))
    engine.warm_up()
    return engine


def _folder(settings: WorkerSettings) -> ModelFolder:
    """The model's; a server's model has none here."""
    if settings.has_model_server:
        return NO_FOLDER
    return find_model(
        settings.model,
        settings.model_revision,
        cache_folder=settings.cache_folder,
        engine=settings.engine,
    )


def _chosen(settings: WorkerSettings, architecture: str) -> type[DeclaredEngine]:
    owner = next((each for each in ENGINES if _uses_own(each, settings)), None)
    if settings.engine == "auto":
        auto = (each for each in ENGINES if architecture in each.auto_architectures)
        return owner or next(auto, ENGINES[-1])
    wanted = next(each for each in ENGINES if each.name == settings.engine)
    if owner is not None and owner is not wanted:
        purposes = " or ".join(owner.own_settings.values())
        raise ModelNotLoaded(f"models for {purposes} need engine {owner.name}")
    if wanted.architectures and architecture not in wanted.architectures:
        raise ModelNotLoaded(
            f"engine {wanted.name} serves {', '.join(sorted(wanted.architectures))}, and "
            f"{settings.model!r} is {architecture}: use engine auto or automodel"
        )
    return wanted


def _uses_own(engine: type[DeclaredEngine], settings: WorkerSettings) -> bool:
    return any(getattr(settings, field) for field in engine.own_settings)
