"""Paraformer on whole batches of segments from many tasks.

The same weights and the same text as FunASR's `AutoModel`, which runs file by file: each segment
attends only to itself. Models with an upsampling predictor (BiCif, SeACo) return word times.
SeACo's hotwords need `AutoModel`.

Sources: `funasr.models.paraformer.model.Paraformer.inference`,
`funasr.models.bicif_paraformer.model.BiCifParaformer.inference`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch

from asr_worker.engines.base import Feature, SegmentAudio, SegmentText
from asr_worker.engines.batch_engine import BatchEngine
from asr_worker.engines.cif import CifPredictor, FineWeights, peaks
from asr_worker.engines.precision import lowered
from asr_worker.engines.sanm import NO_SUCH_VARIANT, SanmEncoder, layout_on
from asr_worker.engines.sanm_decoder import SanmDecoder
from asr_worker.engines.transfer import HostCopy, to_device
from asr_worker.engines.words import timed_words
from asr_worker.errors import ModelNotLoaded

_TIMES: Final[frozenset[Feature]] = frozenset({"timestamps"})


@dataclass(frozen=True)
class _Tokens:
    """Tokens of all segments concatenated, their number per segment, and the weights for times."""

    ids: HostCopy
    counts: list[int]
    fine: FineWeights | None


class ParaformerEngine(BatchEngine):
    """The `paraformer` engine. One thread owns it."""

    name = "paraformer"
    architectures = frozenset({"Paraformer", "BiCifParaformer", "SeacoParaformer"})
    # Not SeacoParaformer: its hotwords need AutoModel.
    auto_architectures = architectures - {"SeacoParaformer"}
    _warm_up_level = 0.01  # silence has no tokens, and would leave the decoder cold

    @property
    def supports(self) -> frozenset[Feature]:
        """Only an upsampling predictor gives word times."""
        return frozenset() if self._folder.architecture == "Paraformer" else _TIMES

    def _take(self, model: Any, parts: dict[str, Any]) -> None:
        if model.normalize is not None or parts.get("decoding_ctc_weight"):
            raise ModelNotLoaded(NO_SUCH_VARIANT)
        self._left_out = {model.sos, model.eos, model.blank_id}
        self._predictor = CifPredictor(model.predictor)
        self._encoder = SanmEncoder(lowered(model.encoder, self._precision, self.device))
        self._decoder = SanmDecoder(lowered(model.decoder, self._precision, self.device))

    def _compute(
        self, features: torch.Tensor, lengths: torch.Tensor, batch: Sequence[SegmentAudio]
    ) -> _Tokens:
        memory = layout_on(features.device, lengths.tolist())
        frames = self._encoder(features, memory)
        hidden = memory.to_padded(frames)
        embeddings, counts = self._predictor(hidden, to_device(lengths, features.device))
        amounts: list[int] = counts.tolist()
        if not any(amounts):
            return _Tokens(HostCopy(counts[:0]), amounts, None)
        layout = layout_on(features.device, amounts)
        scores = self._decoder(embeddings, layout, frames, memory)
        best = HostCopy(layout.valid(scores).argmax(-1))
        fine = None
        if self._predictor.tells_times:
            fine = self._predictor.fine_weights(hidden, lengths, counts)
        return _Tokens(best, amounts, fine)

    def _texts(self, computed: _Tokens) -> list[SegmentText]:
        bounds = np.cumsum(computed.counts)[:-1]
        ids = [each.tolist() for each in np.split(computed.ids.numpy(), bounds)]
        if computed.fine is None:
            return [self._text(each) for each in ids]
        weights = computed.fine.weights.numpy()
        sums = peaks(weights)
        return [
            self._timed_text(each, weights[row, :count], sums[row, :count])
            for row, (each, count) in enumerate(zip(ids, computed.fine.counts, strict=True))
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
