"""Which engine serves the configured model."""

from __future__ import annotations

from asr_core.settings import WorkerSettings
from asr_worker.engines import sensevoice
from asr_worker.engines.automodel import AutoModelEngine
from asr_worker.engines.base import Engine, ModelNotLoaded
from asr_worker.engines.funasr_models import find_model, pick_device
from asr_worker.engines.sensevoice import SenseVoiceEngine


def load_engine(settings: WorkerSettings) -> Engine:
    """Find the model, choose its engine, load it and warm it up. Raises ModelNotLoaded.

    `auto` takes the batching engine for SenseVoiceSmall and AutoModel for everything else, and
    for SenseVoiceSmall with a punctuation model, which only AutoModel runs.
    """
    device = pick_device(settings.use_gpu)
    folder = find_model(settings.model, settings.model_revision)
    fits = folder.architecture == sensevoice.ARCHITECTURE
    if settings.engine == "sensevoice" and not fits:
        raise ModelNotLoaded(
            f"engine sensevoice serves {sensevoice.ARCHITECTURE}, and {settings.model!r} is "
            f"{folder.architecture}: use engine auto or automodel"
        )
    if settings.engine == "sensevoice" and settings.punc_model:
        raise ModelNotLoaded("a punctuation model needs engine auto or automodel")
    engine: Engine
    if fits and settings.engine != "automodel" and not settings.punc_model:
        engine = SenseVoiceEngine(
            folder, device, settings.cpu_threads, precision=settings.precision
        )
    else:
        if settings.precision != "float32":
            raise ModelNotLoaded(f"precision {settings.precision} is for engine sensevoice only")
        engine = AutoModelEngine(
            folder, device, settings.cpu_threads, punc_model=settings.punc_model
        )
    engine.load()
    engine.warm_up()
    return engine
