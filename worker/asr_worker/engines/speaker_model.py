"""Speaker embeddings beside the text, from a second model, for callers who request speakers.

The model is FunASR's CAM++ (`iic/speech_campplus_sv_zh-cn_16k-common` on its hub). As `AutoModel`
does, it embeds windows of 1.5 s of each segment, one every 0.75 s. Clustering them to speakers
needs the whole recording: see `asr_worker.transcript.diarization`.

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
    PendingTexts,
    SegmentAudio,
    SegmentText,
    SpeakerEmbedding,
)
from asr_worker.engines.funasr_models import ModelFolder, build_model, thread_count
from asr_worker.engines.transfer import HostCopy
from asr_worker.errors import ModelNotLoaded

ARCHITECTURE: Final = "CAMPPlus"
WINDOWS_AT_ONCE: Final = 256
# On a CPU batches that fit its caches are faster: eight took three fifths of the time of 256.
WINDOWS_AT_ONCE_ON_CPU: Final = 8


# Gives the embeddings of each segment of a batch, in order. Any thread may call it, once.
PendingEmbeddings = Callable[[], list[tuple[SpeakerEmbedding, ...]]]


class SpeakerModel:
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

    def submit(self, batch: Sequence[SegmentAudio]) -> PendingEmbeddings:
        """Runs the model on this thread; the result gives each segment's embeddings, on any."""
        from funasr.models.campplus.utils import sv_chunk

        windows = [sv_chunk([[0.0, segment.seconds, segment.pcm]]) for segment in batch]
        windows_pcm = [pcm for each in windows for _, _, pcm in each]
        most = WINDOWS_AT_ONCE_ON_CPU if self._device == "cpu" else WINDOWS_AT_ONCE
        starts = range(0, len(windows_pcm), most)
        parts = [self._embed(windows_pcm[first : first + most]) for first in starts]

        def read() -> list[tuple[SpeakerEmbedding, ...]]:
            embeddings = iter(np.concatenate([part.numpy() for part in parts]) if parts else ())
            return [
                tuple(SpeakerEmbedding(start, end, next(embeddings)) for start, end, _ in each)
                for each in windows
            ]

        return read

    def _embed(self, windows_pcm: list[FloatArray]) -> HostCopy:
        with torch.inference_mode():
            results, _ = self._model.inference(windows_pcm, device=self._device)
        return HostCopy(results[0]["spk_embedding"].float())


class DiarizingEngine:
    """An engine that also embeds speakers, in segments whose callers request them."""

    def __init__(self, engine: Engine, speaker_model: SpeakerModel) -> None:
        self._engine = engine
        self._speaker_model = speaker_model
        self.name = engine.name
        self.model_id = engine.model_id
        self.device = engine.device
        self.supports: frozenset[Feature] = engine.supports | {"speakers"}
        self.languages = engine.languages
        self.server = engine.server

    def computed_seconds(self, seconds: float) -> float:
        """What the engine computes; the speaker model has windows of 1.5 s."""
        return self._engine.computed_seconds(seconds)

    def load(self) -> None:
        """Loads the engine; the speaker model is loaded already. Raises ModelNotLoaded."""
        self._engine.load()

    def warm_up(self) -> None:
        """Runs both models once."""
        self._engine.warm_up()
        self._speaker_model.submit([SegmentAudio(np.zeros(2 * SAMPLE_RATE, np.float32))])()

    def submit(self, batch: Sequence[SegmentAudio]) -> PendingTexts:
        """The engine's texts, with speaker embeddings where they were requested."""
        requested = [index for index, segment in enumerate(batch) if segment.options.speakers]
        read_texts = self._engine.submit(batch)
        if not requested:
            return read_texts
        read_embeddings = self._speaker_model.submit([batch[index] for index in requested])

        def read() -> list[SegmentText]:
            texts = read_texts()
            for index, embeddings in zip(requested, read_embeddings(), strict=True):
                texts[index] = replace(texts[index], speaker_embeddings=embeddings)
            return texts

        return read
