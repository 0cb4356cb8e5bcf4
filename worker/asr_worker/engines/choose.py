"""Chooses and loads the engine for the configured model."""

from __future__ import annotations

from typing import Final

from asr_worker.engines import paraformer, sensevoice
from asr_worker.engines.automodel import AutoModelEngine
from asr_worker.engines.base import Engine, ModelNotLoaded
from asr_worker.engines.funasr_models import ModelFolder, find_model, pick_device
from asr_worker.engines.paraformer import ParaformerEngine
from asr_worker.engines.sensevoice import SenseVoiceEngine
from asr_worker.engines.speaker_model import DiarizingEngine, SpeakerModel
from asr_worker.settings import WorkerSettings

# What each batching engine can run; `auto` leaves to AutoModel what only AutoModel does whole:
# the hotwords of SeacoParaformer, punctuation, voice activity.
_RUNS: Final = {
    "sensevoice": frozenset({sensevoice.ARCHITECTURE}),
    "paraformer": paraformer.ARCHITECTURES,
}
_AUTO: Final = {
    sensevoice.ARCHITECTURE: "sensevoice",
    "Paraformer": "paraformer",
    "BiCifParaformer": "paraformer",
}


def load_engine(settings: WorkerSettings) -> Engine:
    """Finds the model, chooses its engine, loads it and warms it up. Raises ModelNotLoaded."""
    device = pick_device(settings.use_gpu)
    folder = find_model(settings.model, settings.model_revision)
    engine = _engine(_name(settings, folder), settings, folder, device)
    engine.load()
    if settings.speaker_model:
        speakers = find_model(settings.speaker_model)
        engine = DiarizingEngine(engine, SpeakerModel(speakers, device, settings.cpu_threads))
    engine.warm_up()
    return engine


def _name(settings: WorkerSettings, folder: ModelFolder) -> str:
    wanted = settings.engine
    if wanted == "auto":
        composed = settings.punc_model or settings.vad_model
        return "automodel" if composed else _AUTO.get(folder.architecture, "automodel")
    runs = _RUNS.get(wanted)
    if runs is not None and folder.architecture not in runs:
        raise ModelNotLoaded(
            f"engine {wanted} serves {', '.join(sorted(runs))}, and {settings.model!r} is "
            f"{folder.architecture}: use engine auto or automodel"
        )
    if runs is not None and (settings.punc_model or settings.vad_model):
        raise ModelNotLoaded("models for punctuation or voice activity need engine automodel")
    return wanted


def _engine(name: str, settings: WorkerSettings, folder: ModelFolder, device: str) -> Engine:
    threads, precision = settings.cpu_threads, settings.precision
    if name == "sensevoice":
        return SenseVoiceEngine(folder, device, threads, precision=precision)
    if name == "paraformer":
        return ParaformerEngine(folder, device, threads, precision=precision)
    if precision != "float32":
        raise ModelNotLoaded(
            f"precision {precision} is for the engines sensevoice and paraformer only"
        )
    return AutoModelEngine(
        folder, device, threads, punc_model=settings.punc_model, vad_model=settings.vad_model
    )
