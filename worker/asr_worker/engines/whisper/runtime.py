"""Whisper's network on CTranslate2. The only module that calls it; the engine's thread owns it.

CTranslate2 wants the start token at one place of all prompts of a call, one beam and temperature
for all, and one start for all texts of an alignment: callers group by these.

Source: https://opennmt.net/CTranslate2/python/ctranslate2.models.Whisper.html.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from asr_worker.audio.pcm import FloatArray
from asr_worker.engines.whisper.word_times import Alignment

# Candidates of which the most probable one is taken, where tokens are drawn by chance.
BEST_OF: Final = 5
_SEED: Final = 1


@dataclass(frozen=True, eq=False)
class Encoded:
    """Encoder outputs of `count` windows, on the model's device."""

    view: Any
    count: int

    def select(self, rows: Sequence[int]) -> Encoded:
        """Those of some rows, in their order; without a copy where they are all."""
        if list(rows) == list(range(self.count)):
            return self
        import ctranslate2

        on_host = self.view.to_device(ctranslate2.Device.cpu)
        chosen = np.ascontiguousarray(np.asarray(on_host)[list(rows)])
        return Encoded(ctranslate2.StorageView.from_array(chosen), len(rows))


@dataclass(frozen=True)
class Generated:
    """The most probable tokens after a prompt. `score` is the sum of their log-probabilities and
    that of the end of text, divided by their number without it.
    """

    tokens: list[int]
    score: float
    no_speech_prob: float


class WhisperRuntime:
    """A loaded model."""

    def __init__(self, folder: Path, device: str, compute_type: str, threads: int) -> None:
        """Raises what CTranslate2 raises: RuntimeError, ValueError."""
        import ctranslate2

        # Draws are then the same in each process that gets the same batches.
        ctranslate2.set_random_seed(_SEED)
        kind, _, index = device.partition(":")
        self._model = ctranslate2.models.Whisper(
            str(folder),
            device=kind,
            device_index=int(index or 0),
            compute_type=compute_type,
            inter_threads=1,
            intra_threads=threads,
        )

    @property
    def is_multilingual(self) -> bool:
        return bool(self._model.is_multilingual)

    @property
    def mels(self) -> int:
        return int(self._model.n_mels)

    def encode(self, features: FloatArray) -> Encoded:
        """Features (windows, mels, frames), all of one length."""
        import ctranslate2

        view = ctranslate2.StorageView.from_array(np.ascontiguousarray(features))
        return Encoded(self._model.encode(view), len(features))

    def languages(self, encoded: Encoded) -> list[str]:
        """The most probable language of each window, by its code."""
        found = self._model.detect_language(encoded.view)
        return [str(ranked[0][0]).strip("<|>") for ranked in found]

    def generate(
        self,
        encoded: Encoded,
        prompts: list[list[int]],
        *,
        beam_size: int,
        max_length: int,
        temperature: float = 0.0,
    ) -> list[Generated]:
        """One result for each window; `max_length` counts the prompt, which are of one length."""
        options: dict[str, Any] = {"beam_size": beam_size}
        if temperature:
            options = {
                "beam_size": 1,
                "num_hypotheses": BEST_OF,
                "sampling_topk": 0,
                "sampling_temperature": temperature,
            }
        results = self._model.generate(
            encoded.view,
            prompts,
            max_length=max_length,
            return_scores=True,
            return_no_speech_prob=True,
            **options,
        )
        return [
            Generated(each.sequences_ids[0], each.scores[0], each.no_speech_prob)
            for each in results
        ]

    def align(
        self, encoded: Encoded, start: list[int], texts: list[list[int]], frames: list[int]
    ) -> list[Alignment]:
        """Where each text's tokens are in its window; `frames` are those of the segments."""
        results = self._model.align(encoded.view, start, texts, frames)
        return [Alignment(each.alignments, each.text_token_probs) for each in results]
