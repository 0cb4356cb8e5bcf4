"""Base class of the engines that run a model's own modules on whole batches.

A batch passes three stages: `features` for all segments at once, the `model`, and `text`, which no
longer uses the device, so that the next batch need not wait for it.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from functools import partial
from typing import Any, Self

import numpy as np
import torch

from asr_core.errors import EngineFailed
from asr_worker.audio.pcm import SAMPLE_RATE
from asr_worker.engines.base import Feature, PendingTexts, SegmentAudio, SegmentText
from asr_worker.engines.declaration import DeclaredEngine
from asr_worker.engines.features import FeatureExtractor
from asr_worker.engines.funasr_models import ModelFolder, build_model, thread_count
from asr_worker.engines.stage_times import StageTimes
from asr_worker.settings import Precision, WorkerSettings


class BatchEngine(DeclaredEngine):
    """One model on one device. One thread owns it."""

    _warm_up_level = 0.0  # of its noise; silence

    def __init__(
        self,
        folder: ModelFolder,
        device: str,
        cpu_threads: int | None = None,
        *,
        precision: Precision = "float32",
    ) -> None:
        self.model_id = folder.model_id
        self.device = device
        self.languages: frozenset[str] = frozenset()
        self.times = StageTimes(device)
        self._folder = folder
        self._threads = thread_count(cpu_threads)
        self._precision: Precision = precision
        self._features: FeatureExtractor | None = None

    @property
    @abstractmethod
    def supports(self) -> frozenset[Feature]:
        """The options and output fields that it supports."""

    @classmethod
    def create(cls, folder: ModelFolder, device: str, settings: WorkerSettings) -> Self:
        """An engine as configured, not loaded yet."""
        precision = cls.precision_on(device, settings)
        return cls(folder, device, settings.cpu_threads, precision=precision)

    def load(self) -> None:
        """Builds the model from its folder. Raises ModelNotLoaded."""
        model, parts = build_model(self._folder, self.device, self._threads)
        self._tokenizer = parts["tokenizer"]
        self._take(model, parts)
        self._features = FeatureExtractor(parts["frontend"], self.device)
        self._frame_seconds = self._features.frame_seconds

    def warm_up(self) -> None:
        """One short and one long batch, to initialise both shapes."""
        noise = np.random.default_rng(0).normal(0, self._warm_up_level, 30 * SAMPLE_RATE)
        for seconds, count in ((1, 1), (30, 2)):
            self.transcribe(
                [SegmentAudio(noise[: seconds * SAMPLE_RATE].astype(np.float32))] * count
            )

    def transcribe(self, batch: Sequence[SegmentAudio]) -> list[SegmentText]:
        """One text for each segment, in order."""
        return self.submit(batch)()

    def submit(self, batch: Sequence[SegmentAudio]) -> PendingTexts:
        """Runs the model on this thread; calling the result reads the texts."""
        if self._features is None:
            raise EngineFailed("the engine was asked to transcribe before it was loaded")
        if not batch:
            return list
        with torch.inference_mode():
            with self.times.stage("features"):
                features, lengths = self._features([segment.pcm for segment in batch])
            with self.times.stage("model"):
                computed = self._compute(features, lengths, batch)
        return partial(self._read, computed)

    def _read(self, computed: Any) -> list[SegmentText]:
        with self.times.stage("text"):
            return self._texts(computed)

    @abstractmethod
    def _take(self, model: Any, parts: dict[str, Any]) -> None:
        """Keeps the modules of a loaded model that inference needs. Raises ModelNotLoaded."""

    @abstractmethod
    def _compute(
        self, features: torch.Tensor, lengths: torch.Tensor, batch: Sequence[SegmentAudio]
    ) -> Any:
        """Runs the model on features (batch, frames, size); outputs are being copied to the CPU."""

    @abstractmethod
    def _texts(self, computed: Any) -> list[SegmentText]:
        """The texts of the outputs of `_compute`, in order."""
