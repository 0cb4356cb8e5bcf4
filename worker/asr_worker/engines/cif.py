"""Paraformer's predictor on whole batches: the number of tokens, and the frames of each.

Continuous integrate-and-fire: every frame has a weight below 1; the weights are summed over time,
and a token is complete each time the sum passes an integer. FunASR loops over the frames; here the
share of frame t in token k is the overlap of two intervals, so that all tokens of all segments are
one matrix product.

Source: Dong and Xu, "CIF: Continuous Integrate-and-Fire for End-to-End Speech Recognition",
https://arxiv.org/abs/1905.11235; `funasr.models.paraformer.cif_predictor.CifPredictorV2`,
`funasr.models.bicif_paraformer.cif_predictor.CifPredictorV3`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F

from asr_worker.engines.sanm import NO_SUCH_VARIANT
from asr_worker.engines.transfer import HostCopy, to_device
from asr_worker.errors import ModelNotLoaded

KNOWN: Final = frozenset({"CifPredictorV2", "CifPredictorV3"})
# FunASR's `cif_wo_hidden` of the finer weights fires a little below 1.
PEAK: Final = np.float32(1.0 - 1e-4)


@dataclass(frozen=True)
class FineWeights:
    """Weights at `upsample_times` the frame rate: float32 (batch, fine frames).

    They give the time of each token; `counts` are the fine frames of each segment.
    """

    weights: HostCopy
    counts: tuple[int, ...]


class CifPredictor:
    """A loaded predictor's own modules, in float32: the number of tokens depends on rounding."""

    def __init__(self, predictor: Any) -> None:
        """Raises ModelNotLoaded for a variant that no published model is of."""
        is_known = type(predictor).__name__ in KNOWN
        if not is_known or predictor.threshold != 1 or predictor.tail_threshold <= 0:
            raise ModelNotLoaded(NO_SUCH_VARIANT)
        self._modules = predictor.float()
        self.tells_times = hasattr(predictor, "get_upsample_timestamp")
        if self.tells_times and predictor.upsample_type not in ("cnn", "cnn_blstm"):
            raise ModelNotLoaded(NO_SUCH_VARIANT)

    def __call__(
        self, hidden: torch.Tensor, lengths: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Acoustic embeddings (batch, most tokens, size) and the number of each segment's tokens.

        `hidden` is (batch, most frames, size) with zeros behind the shorter segments.
        """
        weights = self._weights(self._context(hidden), lengths)
        counts = weights.sum(-1).floor().long()
        ends = weights.cumsum(1, dtype=torch.float64).float()
        begins = F.pad(ends[:, :-1], (1, 0))
        token = torch.arange(int(counts.max()), device=hidden.device)[None, :, None]
        shares = torch.minimum(ends[:, None], token + 1) - torch.maximum(begins[:, None], token)
        # The last weight is the tail's, which has no frame.
        return shares.clamp_(min=0)[..., :-1] @ hidden.float(), counts

    def fine_weights(
        self, hidden: torch.Tensor, lengths: torch.Tensor, counts: torch.Tensor
    ) -> FineWeights:
        """The weights that give token times; `lengths` (frames per segment) is on the CPU."""
        modules, times = self._modules, self._modules.upsample_times
        source = self._context(hidden) if modules.use_cif1_cnn else hidden.float().transpose(1, 2)
        fine = modules.upsample_cnn(source).transpose(1, 2)
        if modules.upsample_type == "cnn_blstm":
            fine = _each_to_its_end(modules.blstm, fine, lengths * times)
        scored = torch.sigmoid(modules.cif_output2(fine)).squeeze(-1)
        weights = F.relu(scored * modules.smooth_factor2 - modules.noise_threshold2)
        weights = weights * _is_frame(weights, to_device(lengths * times, weights.device))
        weights = weights * (counts / weights.sum(-1))[:, None]
        return FineWeights(HostCopy(weights), tuple((lengths * times).tolist()))

    def _context(self, hidden: torch.Tensor) -> torch.Tensor:
        """(batch, size, most frames)."""
        modules = self._modules
        return torch.relu(modules.cif_conv1d(modules.pad(hidden.float().transpose(1, 2))))

    def _weights(self, context: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """(batch, most frames + 1): the weights of each segment's frames, then that of the tail."""
        modules = self._modules
        scored = torch.sigmoid(modules.cif_output(context.transpose(1, 2))).squeeze(-1)
        weights = F.relu(scored * modules.smooth_factor - modules.noise_threshold)
        weights = F.pad(weights * _is_frame(weights, lengths), (0, 1))
        return weights.index_put_(
            (torch.arange(len(lengths), device=weights.device), lengths),
            weights.new_tensor(modules.tail_threshold),
        )


def peaks(weights: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """The running sums before each reset, as FunASR's `cif_wo_hidden` returns them.

    In its order of float32 additions, since one peak more or less shifts all later times.
    """
    sums = np.empty_like(weights)
    running = np.zeros(len(weights), np.float32)
    for frame in range(weights.shape[1]):
        running += weights[:, frame]
        sums[:, frame] = running
        running[running >= PEAK] -= PEAK
    return sums


def _is_frame(weights: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    return torch.arange(weights.shape[1], device=weights.device) < lengths[:, None]


def _each_to_its_end(lstm: Any, frames: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    """A bidirectional layer over each segment alone, so that none starts in the padding."""
    packed = torch.nn.utils.rnn.pack_padded_sequence(
        frames, lengths, batch_first=True, enforce_sorted=False
    )
    done, _ = lstm(packed)
    padded: torch.Tensor
    padded, _ = torch.nn.utils.rnn.pad_packed_sequence(
        done, batch_first=True, total_length=frames.shape[1]
    )
    return padded
