"""SenseVoice's encoder for inference: FunASR's weights, with less work around them.

The same arithmetic as `funasr.models.sense_voice.model.SenseVoiceEncoderSmall`, of whose 70 blocks
this makes two passes over memory fewer each: no mask is multiplied in where nothing is masked, and
the residual of a memory block is one more weight of its filter.

On a CPU the segments lie end to end (`EndToEnd`): no padding is computed, and each attends to
itself alone. On other devices they lie side by side, padded and masked (`SideBySide`): there few
large kernels beat many small ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import Any, Protocol

import torch
import torch.nn.functional as F

from asr_worker.engines.base import ModelNotLoaded


class Layout(Protocol):
    """How the segments of a batch lie in a tensor whose last axis holds one frame."""

    def lay(self, segments: Sequence[torch.Tensor]) -> torch.Tensor:
        """One tensor of all segments, each of shape (frames, size)."""

    def mix(
        self, queries_keys_values: torch.Tensor, heads: int, taps: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Attention's context, and what the filter `taps` (size, 1, width) remembers of values."""

    def valid(self, laid: torch.Tensor) -> torch.Tensor:
        """The frames of all segments end to end, without padding: (frames, size)."""


class EndToEnd:
    """(all frames, size)."""

    def __init__(self, lengths: Sequence[int]) -> None:
        self._spans = list(pairwise(accumulate(lengths, initial=0)))

    def lay(self, segments: Sequence[torch.Tensor]) -> torch.Tensor:
        return torch.cat(list(segments))

    def mix(
        self, queries_keys_values: torch.Tensor, heads: int, taps: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        frames, size = len(queries_keys_values), queries_keys_values.shape[1] // 3
        contexts = queries_keys_values.new_empty(frames, size)
        memories = queries_keys_values.new_empty(frames, size)
        for begin, end in self._spans:
            part = queries_keys_values[begin:end]
            query, key, value = part.view(end - begin, 3, heads, -1).permute(1, 2, 0, 3)
            context = F.scaled_dot_product_attention(query[None], key[None], value[None])[0]
            contexts[begin:end] = context.transpose(0, 1).reshape(end - begin, size)
            memories[begin:end] = _filtered(part[None, :, 2 * size :], taps)[0]
        return contexts, memories

    def valid(self, laid: torch.Tensor) -> torch.Tensor:
        return laid


class SideBySide:
    """(batch, most frames, size), zeros behind the shorter ones."""

    def __init__(self, lengths: Sequence[int], device: torch.device | str) -> None:
        ends = torch.tensor(lengths, device=device)
        self._valid = torch.arange(max(lengths), device=device) < ends[:, None]

    def lay(self, segments: Sequence[torch.Tensor]) -> torch.Tensor:
        return torch.nn.utils.rnn.pad_sequence(list(segments), batch_first=True)

    def mix(
        self, queries_keys_values: torch.Tensor, heads: int, taps: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        batch, frames, triple = queries_keys_values.shape
        shape = (batch, frames, 3, heads, triple // 3 // heads)
        query, key, value = queries_keys_values.view(shape).permute(2, 0, 3, 1, 4)
        context = F.scaled_dot_product_attention(
            query, key, value, attn_mask=self._valid[:, None, None]
        )
        values = queries_keys_values[..., 2 * (triple // 3) :] * self._valid[..., None]
        return context.transpose(1, 2).reshape(batch, frames, -1), _filtered(values, taps)

    def valid(self, laid: torch.Tensor) -> torch.Tensor:
        return laid[self._valid]


class SanmEncoder:
    """A loaded encoder's own modules in the order in which inference needs them."""

    def __init__(self, encoder: Any) -> None:
        """Raises ModelNotLoaded for a variant that no published model is of."""
        self._scale = encoder.output_size() ** 0.5
        self._with_positions = encoder.embed
        first = (*encoder.encoders0, *encoder.encoders)
        self._stages = (
            ([_Block(layer) for layer in first], encoder.after_norm),
            ([_Block(layer) for layer in encoder.tp_encoders], encoder.tp_norm),
        )

    def __call__(self, segments: Sequence[torch.Tensor]) -> torch.Tensor:
        """Encodes segments of shape (frames, features); all their frames (frames, size).

        Positions are added in the precision of `segments`, and the rest is computed in that of the
        weights: sines of positions beyond 256 do not survive bfloat16.
        """
        lengths = [len(segment) for segment in segments]
        device = segments[0].device
        layout: Layout = EndToEnd(lengths) if device.type == "cpu" else SideBySide(lengths, device)
        return self.run(segments, layout)

    def run(self, segments: Sequence[torch.Tensor], layout: Layout) -> torch.Tensor:
        """As `__call__`, in a layout of the caller's choice."""
        placed = [self._with_positions(each[None] * self._scale)[0] for each in segments]
        laid = layout.lay(placed).to(self._stages[0][1].weight.dtype)
        for blocks, norm in self._stages:
            for block in blocks:
                laid = block(laid, layout)
            laid = _normal(laid, norm)
        return layout.valid(laid)


class _Block:
    """One `EncoderLayerSANM`."""

    def __init__(self, layer: Any) -> None:
        attention, feed_forward = layer.self_attn, layer.feed_forward
        left, right = attention.pad_fn.padding
        if left != right or layer.concat_after or not layer.normalize_before:
            raise ModelNotLoaded("this variant of SenseVoice needs ASR_ENGINE=automodel")
        self._heads = int(attention.h)
        self._before_attention, self._before_feed_forward = layer.norm1, layer.norm2
        self._project, self._out = attention.linear_q_k_v, attention.linear_out
        self._widen, self._narrow = feed_forward.w_1, feed_forward.w_2
        self._has_residual = layer.in_size == layer.size
        taps = attention.fsmn_block.weight.detach().clone()
        taps[:, :, left] += 1  # what `forward_fsmn` adds: its own input
        self._taps = taps

    def __call__(self, frames: torch.Tensor, layout: Layout) -> torch.Tensor:
        projected = self._project(_normal(frames, self._before_attention))
        context, memory = layout.mix(projected, self._heads, self._taps)
        mixed = self._out(context).add_(memory)
        if self._has_residual:
            mixed.add_(frames)
        wide = self._widen(_normal(mixed, self._before_feed_forward)).relu_()
        return mixed.add_(self._narrow(wide))


def _normal(frames: torch.Tensor, norm: Any) -> torch.Tensor:
    return F.layer_norm(frames, norm.normalized_shape, norm.weight, norm.bias, norm.eps)


def _filtered(values: torch.Tensor, taps: torch.Tensor) -> torch.Tensor:
    """Each of `size` channels through its own filter along the frames of (batch, frames, size)."""
    size, _, width = taps.shape
    return F.conv1d(values.transpose(1, 2), taps, padding=(width - 1) // 2, groups=size).transpose(
        1, 2
    )
