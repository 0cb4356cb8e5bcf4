"""Chooses and loads the detector of speech: `ASR_VAD`, for every engine."""

from __future__ import annotations

from asr_core.process.logs import get_logger
from asr_core.voice import silero
from asr_worker.audio.speech import EnergyDetector, SileroDetector, SpeechDetector
from asr_worker.errors import ModelNotLoaded
from asr_worker.settings import WorkerSettings

_log = get_logger(__name__)


def load_detector(settings: WorkerSettings) -> SpeechDetector:
    """As configured; where nothing is, Silero if it can run here. Raises ModelNotLoaded."""
    chosen = settings.vad or ("fsmn" if settings.vad_model else None)
    if settings.vad_model and chosen != "fsmn":
        raise ModelNotLoaded(
            f"ASR_VAD_MODEL names a model of FunASR, and ASR_VAD={chosen} takes none: "
            "use ASR_VAD=fsmn, or unset one of them"
        )
    missing = silero.missing()
    if chosen is None and missing:
        _log.warning("all that is audible counts as speech", vad="energy", reason=missing)
        chosen = "energy"
    if chosen == "energy":
        return EnergyDetector()
    if chosen == "fsmn":
        return _fsmn(settings)
    if missing:
        raise ModelNotLoaded(f"ASR_VAD=silero cannot be used: {missing}")
    return SileroDetector()


def _fsmn(settings: WorkerSettings) -> SpeechDetector:
    # Imported here: only this detector needs torch.
    from asr_worker.engines.fsmn_vad import DEFAULT_MODEL, FsmnDetector
    from asr_worker.engines.funasr_models import find_model, thread_count

    folder = find_model(settings.vad_model or DEFAULT_MODEL)
    return FsmnDetector(folder, thread_count(settings.cpu_threads))
