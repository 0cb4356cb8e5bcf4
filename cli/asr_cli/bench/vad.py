"""What voice activity costs: milliseconds of one processor for each second of audio."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asr_cli.bench.audio import as_floats, recordings
from asr_cli.bench.report import Finding, Series

if TYPE_CHECKING:
    from asr_core.voice.silero import SileroModel


def measure(seconds: float, rounds: int, fsmn_model: str) -> Finding:
    """Each detector on a recording as a worker has it on disk, one thread; `fsmn_model`: a folder
    or hub id of FunASR's FSMN-VAD, left out if empty.
    """
    from asr_core.voice.silero import SileroModel
    from asr_worker.audio.pcm import PcmFile, PcmWriter
    from asr_worker.audio.speech import EnergyDetector, SileroDetector, SpeechDetector, find_speech

    (integers,) = recordings([seconds], 1)
    samples = as_floats(integers)
    detectors: list[SpeechDetector] = [EnergyDetector(), SileroDetector()]
    if fsmn_model:
        detectors.append(_fsmn(fsmn_model))
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "pcm"
        with PcmWriter(path, 1) as writer:
            writer.write(samples[None])
        pcm = PcmFile(path, 1, len(samples), mixed=True)

        def file_of(detector: SpeechDetector) -> Callable[[], Any]:
            return lambda: find_speech(detector, pcm, 0, pcm.energy())

        works = {f"{each.name}, a whole file": file_of(each) for each in detectors}
        model = SileroModel()
        works["silero, 32 ms at a time"] = lambda: _live(model, samples)
        series = [Series(name) for name in works]
        for number in range(rounds + 1):
            for each in series:
                started = time.process_time()
                works[each.name]()
                if number:  # the first one loads libraries
                    each.rounds.append((time.process_time() - started) * 1000 / seconds)
    return Finding(
        title="Voice activity, one thread",
        command="asr bench vad",
        conditions={"seconds of audio": seconds},
        unit="ms of a processor for a second of audio",
        series=series,
    )


def _live(model: SileroModel, samples: Any) -> None:
    """As a live stream comes: a frame at a time, with the state that the one before left."""
    from asr_core.voice.regions import FRAME_SAMPLES
    from asr_core.voice.silero import SileroState

    state = SileroState()
    for start in range(0, len(samples), FRAME_SAMPLES):
        _, state = model.advance(samples[start : start + FRAME_SAMPLES], state)


def _fsmn(model: str) -> Any:
    from asr_worker.engines.fsmn_vad import FsmnDetector
    from asr_worker.engines.funasr_models import find_model

    return FsmnDetector(find_model(model), threads=1)
