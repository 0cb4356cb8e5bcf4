"""Voices beside texts: a second model hears who speaks, for callers who ask.

The model is FunASR's CAM++ (`iic/speech_campplus_sv_zh-cn_16k-common` on its hub); as `AutoModel`
does it, each segment is heard in windows of 1.5 s, one every 0.75 s. Which voices are one speaker
can only be said once the whole recording has been heard: `asr_worker.transcript.diarization`.

Source: Wang et al., "CAM++: A Fast and Efficient Network for Speaker Verification Using
Context-Aware Masking", https://arxiv.org/abs/2303.00332; `funasr.models.campplus`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

import numpy as np
import torch

from asr_worker.audio.pcm import SAMPLE_RATE, FloatArray
from asr_worker.engines.base import (
    Engine,
    Feature,
    ModelNotLoaded,
    SegmentAudio,
    SegmentText,
    Texts,
    Voice,
)
from asr_worker.engines.funasr_models import ModelFolder, build_model, thread_count
from asr_worker.engines.transfer import HostCopy

ARCHITECTURE: Final = "CAMPPlus"
WINDOWS_AT_ONCE: Final = 256
# A processor is faster with what its caches hold: eight took three fifths of the time of 256.
WINDOWS_AT_ONCE_ON_CPU: Final = 8


class VoiceModel:
    """A loaded speaker model. The engine's thread owns it."""

    def __init__(self, folder: ModelFolder, device: str, cpu_threads: int | None = None) -> None:
        """Raises ModelNotLoaded."""
        if folder.architecture != ARCHITECTURE:
            raise ModelNotLoaded(
                f"speaker model {folder.model_id!r} is {folder.architecture}; it must be "
                f"{ARCHITECTURE}, such as iic/speech_campplus_sv_zh-cn_16k-common"
            )
        self._model, _ = build_model(folder, device, thread_count(cpu_threads))
        self._device = device

    def begin(self, batch: Sequence[SegmentAudio]) -> Callable[[], list[tuple[Voice, ...]]]:
        """Listens on this thread; what it returns gives each segment's voices, on any."""
        from funasr.models.campplus.utils import sv_chunk

        windows = [sv_chunk([[0.0, segment.seconds, segment.pcm]]) for segment in batch]
        sounds = [sound for each in windows for _, _, sound in each]
        most = WINDOWS_AT_ONCE_ON_CPU if self._device == "cpu" else WINDOWS_AT_ONCE
        heard = [self._embed(sounds[first : first + most]) for first in range(0, len(sounds), most)]

        def read() -> list[tuple[Voice, ...]]:
            embeddings = iter(np.concatenate([part.numpy() for part in heard]) if heard else ())
            return [
                tuple(Voice(start, end, next(embeddings)) for start, end, _ in each)
                for each in windows
            ]

        return read

    def _embed(self, sounds: list[FloatArray]) -> HostCopy:
        with torch.inference_mode():
            results, _ = self._model.inference(sounds, device=self._device)
        return HostCopy(results[0]["spk_embedding"].float())


class VoicedEngine:
    """An engine that hears voices, too, in segments whose callers ask who speaks."""

    def __init__(self, engine: Engine, voices: VoiceModel) -> None:
        self._engine = engine
        self._voices = voices
        self.name = engine.name
        self.model_id = engine.model_id
        self.device = engine.device
        self.supports: frozenset[Feature] = engine.supports | {"speakers"}
        self.languages = engine.languages

    def load(self) -> None:
        """Both models are loaded; Raises ModelNotLoaded."""
        self._engine.load()

    def warm_up(self) -> None:
        """Once through both models."""
        self._engine.warm_up()
        self._voices.begin([SegmentAudio(np.zeros(2 * SAMPLE_RATE, np.float32))])()

    def begin(self, batch: Sequence[SegmentAudio]) -> Texts:
        """As the engine does, and the voices of whoever asked."""
        asked = [index for index, segment in enumerate(batch) if segment.options.speakers]
        read_texts = self._engine.begin(batch)
        if not asked:
            return read_texts
        read_voices = self._voices.begin([batch[index] for index in asked])

        def read() -> list[SegmentText]:
            texts = read_texts()
            for index, voices in zip(asked, read_voices(), strict=True):
                texts[index] = replace(texts[index], voices=voices)
            return texts

        return read
