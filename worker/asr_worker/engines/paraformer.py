"""Paraformer on whole batches of segments from many tasks.

The same weights as FunASR's `AutoModel` runs, file by file, and the same text: each segment looks
at itself alone. Models with a finer predictor (BiCif, SeACo) say when each word is spoken. SeACo's
hotwords need `AutoModel`.

Sources: `funasr.models.paraformer.model.Paraformer.inference`,
`funasr.models.bicif_paraformer.model.BiCifParaformer.inference`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import torch

from asr_core.errors import EngineFailed
from asr_core.settings import Precision
from asr_worker.engines.base import Feature, ModelNotLoaded, SegmentAudio, SegmentText
from asr_worker.engines.cif import CifPredictor, FineWeights, peaks
from asr_worker.engines.features import FeatureExtractor
from asr_worker.engines.funasr_models import ModelFolder, build_model, thread_count
from asr_worker.engines.precision import lowered
from asr_worker.engines.sanm import NO_SUCH_VARIANT, SanmEncoder, layout_on
from asr_worker.engines.sanm_decoder import SanmDecoder
from asr_worker.engines.stage_times import StageTimes
from asr_worker.engines.transfer import to_device
from asr_worker.engines.words import timed_words
from asr_worker.pcm import SAMPLE_RATE

ARCHITECTURES: Final = frozenset({"Paraformer", "BiCifParaformer", "SeacoParaformer"})


class ParaformerEngine:
    """The `paraformer` engine. One thread owns it."""

    name: Final = "paraformer"
    languages: Final[frozenset[str]] = frozenset()

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
        self.supports: frozenset[Feature] = frozenset(
            {"timestamps"} if folder.architecture != "Paraformer" else ()
        )
        self._folder = folder
        self._threads = thread_count(cpu_threads)
        self._precision: Precision = precision
        self.times = StageTimes(device)
        self._decoder: SanmDecoder | None = None

    def load(self) -> None:
        """Build the model from its folder. Raises ModelNotLoaded."""
        model, parts = build_model(self._folder, self.device, self._threads)
        if model.normalize is not None or parts.get("decoding_ctc_weight"):
            raise ModelNotLoaded(NO_SUCH_VARIANT)
        self._features = FeatureExtractor(parts["frontend"], self.device)
        self._tokenizer = parts["tokenizer"]
        self._left_out = {model.sos, model.eos, model.blank_id}
        self._predictor = CifPredictor(model.predictor)
        self._encoder = SanmEncoder(lowered(model.encoder, self._precision, self.device))
        self._decoder = SanmDecoder(lowered(model.decoder, self._precision, self.device))

    def warm_up(self) -> None:
        """One short and one long batch, the shapes that work will have."""
        noise = np.random.default_rng(0).normal(0, 1e-2, 30 * SAMPLE_RATE).astype(np.float32)
        for seconds, count in ((1, 1), (30, 2)):
            self.transcribe([SegmentAudio(noise[: seconds * SAMPLE_RATE])] * count)

    def transcribe(self, batch: Sequence[SegmentAudio]) -> list[SegmentText]:
        """One text for each segment, in order."""
        if self._decoder is None:
            raise EngineFailed("the engine was asked to transcribe before it was loaded")
        if not batch:
            return []
        with torch.inference_mode():
            with self.times.stage("features"):
                features, lengths = self._features([segment.pcm for segment in batch])
            with self.times.stage("model"):
                ids, fine = self._compute(self._decoder, features, lengths)
        with self.times.stage("text"):
            return self._texts(ids, fine)

    def _compute(
        self, decoder: SanmDecoder, features: torch.Tensor, lengths: torch.Tensor
    ) -> tuple[list[list[int]], FineWeights | None]:
        """Tokens of each segment, and the weights that say when they are spoken."""
        memory = layout_on(features.device, lengths.tolist())
        frames = self._encoder(features, memory)
        hidden, lengths = memory.padded(frames), to_device(lengths, features.device)
        embeddings, counts = self._predictor(hidden, lengths)
        amounts: list[int] = counts.tolist()
        if not any(amounts):
            return [[] for _ in amounts], None
        layout = layout_on(features.device, amounts)
        scores = decoder(embeddings, layout, frames, memory)
        best = layout.valid(scores).argmax(-1).cpu().split(amounts)
        fine = None
        if self._predictor.tells_times:
            fine = self._predictor.fine_weights(hidden, lengths, counts)
        return [each.tolist() for each in best], fine

    def _texts(self, ids: list[list[int]], fine: FineWeights | None) -> list[SegmentText]:
        if fine is None:
            return [self._text(each) for each in ids]
        sums = peaks(fine)
        return [
            self._timed_text(each, fine.weights[row, :count], sums[row, :count])
            for row, (each, count) in enumerate(zip(ids, fine.counts, strict=True))
        ]

    def _text(self, ids: list[int]) -> SegmentText:
        from funasr.utils.postprocess_utils import sentence_postprocess

        tokens = self._tokens(ids)
        if not tokens:
            return SegmentText("")
        if hasattr(self._tokenizer, "bpemodel"):
            return SegmentText(self._tokenizer.tokens2text(tokens))
        return SegmentText(sentence_postprocess(tokens)[0])

    def _timed_text(self, ids: list[int], weights: Any, sums: Any) -> SegmentText:
        from funasr.utils.postprocess_utils import sentence_postprocess
        from funasr.utils.timestamp_tools import ts_prediction_lfr6_standard

        tokens = self._tokens(ids)
        if not tokens:
            return SegmentText("")
        # It divides the weights in place where it finds other peaks than tokens.
        fine = torch.from_numpy(weights.copy()), torch.from_numpy(sums.copy())
        try:
            _, times = ts_prediction_lfr6_standard(*fine, list(tokens))
            text, times, words = sentence_postprocess(tokens, times)
        except IndexError:  # fewer times than tokens: a text without times is better than none
            return self._text(ids)
        return SegmentText(text, words=timed_words(text, words, times))

    def _tokens(self, ids: list[int]) -> list[str]:
        kept = [each for each in ids if each not in self._left_out]
        tokens: list[str] = self._tokenizer.ids2tokens(kept)
        return tokens
