"""The SANM encoder of SenseVoice and Paraformer for inference, with FunASR's weights.

The same arithmetic as `funasr.models.sense_voice.model.SenseVoiceEncoderSmall` and
`funasr.models.sanm.encoder.SANMEncoder`, with two passes over memory fewer per block: masks are not
applied where nothing is masked, and the residual of an FSMN block is folded into its kernel.

On a CPU the segments are concatenated (`PackedLayout`): no padding is computed, and each attends
only to itself. On other devices they are padded and masked (`PaddedLayout`), since there few large
kernels are faster than many small ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, groupby, pairwise
from typing import Any, Final, Protocol

import torch
import torch.nn.functional as F

from asr_worker.engines.linear import add_linear, linear_relu, rounded_rows
from asr_worker.engines.transfer import to_device
from asr_worker.errors import ModelNotLoaded

_Span = tuple[int, int]
NO_SUCH_VARIANT: Final = "this variant of the model needs ASR_ENGINE=automodel"


class Layout(Protocol):
    """How the frames or tokens of a batch's segments are arranged in a tensor (…, size)."""

    def from_padded(self, padded: torch.Tensor) -> torch.Tensor:
        """All segments in this layout, from (batch, most frames, size)."""

    def to_padded(self, hidden: torch.Tensor) -> torch.Tensor:
        """The reverse: (batch, most frames, size), zero-padded."""

    def attend(
        self, queries: torch.Tensor, keys_values: torch.Tensor, heads: int, memory: Any
    ) -> torch.Tensor:
        """Each segment's attention context over its frames in `memory`, of the same class."""

    def fsmn_conv(self, values: torch.Tensor, kernel: torch.Tensor) -> torch.Tensor:
        """Each of `size` channels through its own filter `kernel` (size, 1, width) along frames."""

    def valid(self, hidden: torch.Tensor) -> torch.Tensor:
        """The frames of all segments concatenated, without padding: (frames, size)."""


class PackedLayout:
    """(all frames and some padding rows, size): few distinct row counts, for oneDNN's cache."""

    def __init__(self, lengths: Sequence[int]) -> None:
        self.spans = list(pairwise(accumulate(lengths, initial=0)))
        self._frames = sum(lengths)
        self._padding_rows = rounded_rows(self._frames) - self._frames

    def from_padded(self, padded: torch.Tensor) -> torch.Tensor:
        parts = zip(padded, self.spans, strict=True)
        padding_rows = padded.new_zeros(self._padding_rows, padded.shape[2])
        return torch.cat([*(row[: end - begin] for row, (begin, end) in parts), padding_rows])

    def to_padded(self, hidden: torch.Tensor) -> torch.Tensor:
        parts = [hidden[begin:end] for begin, end in self.spans]
        return torch.nn.utils.rnn.pad_sequence(parts, batch_first=True)

    def attend(
        self, queries: torch.Tensor, keys_values: torch.Tensor, heads: int, memory: PackedLayout
    ) -> torch.Tensor:
        """One call for consecutive segments of equal length."""
        size = queries.shape[1]
        contexts = queries.new_empty(len(queries), size)
        contexts[self._frames :] = 0
        pairs = zip(self.spans, memory.spans, strict=True)
        for (length, _), group in groupby(pairs, _lengths):
            if not length:  # no token was heard in these segments
                continue
            alike = list(group)
            ((begin, _), (first, _)), ((_, end), (_, last)) = alike[0], alike[-1]
            shape = (len(alike), -1, 2, heads, size // heads)
            query = queries[begin:end].reshape(len(alike), length, heads, -1).transpose(1, 2)
            key, value = keys_values[first:last].reshape(shape).permute(2, 0, 3, 1, 4)
            context = F.scaled_dot_product_attention(query, key, value)
            contexts[begin:end] = context.transpose(1, 2).reshape(end - begin, size)
        return contexts

    def fsmn_conv(self, values: torch.Tensor, kernel: torch.Tensor) -> torch.Tensor:
        """One convolution over all segments, with zeros between them to keep them apart.

        Its input is an image of one row in channels-last order, which is fastest in oneDNN and the
        order of the linear layers' outputs.
        """
        size, _, width = kernel.shape
        reach = width // 2
        rows = self._rows_between(reach)
        length = len(values) + reach * (len(self.spans) + 2)
        image = values.new_zeros(1, 1, rounded_rows(length), size)
        image[0, 0, rows] = values
        memories = F.conv2d(image.permute(0, 3, 1, 2), kernel[:, :, None], groups=size)
        return memories[0, :, 0].t().index_select(0, rows - reach)

    def _rows_between(self, reach: int) -> torch.Tensor:
        """The row of each frame once `reach` zero rows surround every segment."""
        lengths = torch.tensor([*(end - begin for begin, end in self.spans), self._padding_rows])
        gaps = torch.arange(1, len(lengths) + 1) * reach
        return torch.arange(int(lengths.sum())) + gaps.repeat_interleave(lengths)

    def valid(self, hidden: torch.Tensor) -> torch.Tensor:
        return hidden[: self._frames]


def _lengths(pair: tuple[_Span, _Span]) -> tuple[int, int]:
    (begin, end), (first, last) = pair
    return end - begin, last - first


class PaddedLayout:
    """(batch, most frames, size); the padding of shorter segments is masked or ignored."""

    def __init__(self, lengths: Sequence[int], device: torch.device | str) -> None:
        is_frame = torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]
        self.is_frame = to_device(is_frame, device)
        # Computed on the CPU: on the device it would need a synchronisation.
        self._frames = to_device(is_frame.flatten().nonzero().squeeze(1), device)

    def from_padded(self, padded: torch.Tensor) -> torch.Tensor:
        return padded

    def to_padded(self, hidden: torch.Tensor) -> torch.Tensor:
        return hidden * self.is_frame[..., None]

    def attend(
        self, queries: torch.Tensor, keys_values: torch.Tensor, heads: int, memory: PaddedLayout
    ) -> torch.Tensor:
        batch, frames, size = queries.shape
        query = queries.reshape(batch, frames, heads, -1).transpose(1, 2)
        shape = (batch, keys_values.shape[1], 2, heads, size // heads)
        key, value = keys_values.reshape(shape).permute(2, 0, 3, 1, 4)
        context = F.scaled_dot_product_attention(
            query, key, value, attn_mask=memory.is_frame[:, None, None]
        )
        return context.transpose(1, 2).reshape(batch, frames, size)

    def fsmn_conv(self, values: torch.Tensor, kernel: torch.Tensor) -> torch.Tensor:
        present = (values * self.is_frame[..., None]).transpose(1, 2)
        size, _, width = kernel.shape
        return F.conv1d(present, kernel, padding=width // 2, groups=size).transpose(1, 2)

    def valid(self, hidden: torch.Tensor) -> torch.Tensor:
        return hidden.flatten(0, 1).index_select(0, self._frames)


def layout_on(device: torch.device, lengths: Sequence[int]) -> Layout:
    """The layout that suits the device."""
    return PackedLayout(lengths) if device.type == "cpu" else PaddedLayout(lengths, device)


class SanmEncoder:
    """A loaded encoder's own modules in the order of inference."""

    def __init__(self, encoder: Any) -> None:
        """Raises ModelNotLoaded for a variant that no published model uses."""
        if type(encoder.embed).__name__ != "SinusoidalPositionEncoder":
            raise ModelNotLoaded(NO_SUCH_VARIANT)
        self._scale = encoder.output_size() ** 0.5
        self._positions = encoder.embed
        self._table = torch.empty(0, 0)
        first = (*encoder.encoders0, *encoder.encoders)
        self._stages = [([_Block(layer) for layer in first], encoder.after_norm)]
        if hasattr(encoder, "tp_encoders"):  # SenseVoice has a second stack
            self._stages.append(([_Block(layer) for layer in encoder.tp_encoders], encoder.tp_norm))

    def __call__(self, features: torch.Tensor, layout: Layout) -> torch.Tensor:
        """Encodes features (batch, most frames, size); the result is in `layout`.

        Positions are added in the precision of `features` and the rest is computed in that of the
        weights: bfloat16 cannot represent the sines of positions beyond 256.
        """
        placed = (features * self._scale).add_(self._at(features))
        hidden = layout.from_padded(placed).to(self._stages[0][1].weight.dtype)
        for blocks, norm in self._stages:
            for block in blocks:
                hidden = block(hidden, layout)
            hidden = layer_norm(hidden, norm)
        return hidden

    def _at(self, features: torch.Tensor) -> torch.Tensor:
        """The encoding of as many positions; the longest table so far is kept."""
        frames, size = features.shape[1:]
        if len(self._table) < frames:
            positions = torch.arange(1, frames + 1, device=features.device)[None]
            self._table = self._positions.encode(positions, size, features.dtype)[0]
        return self._table[:frames]


class _Block:
    """One `EncoderLayerSANM`."""

    def __init__(self, layer: Any) -> None:
        attention, feed_forward = layer.self_attn, layer.feed_forward
        left, right = attention.pad_fn.padding
        if left != right or layer.concat_after or not layer.normalize_before:
            raise ModelNotLoaded(NO_SUCH_VARIANT)
        self._heads = int(attention.h)
        self._before_attention, self._before_feed_forward = layer.norm1, layer.norm2
        self._project, self._out = attention.linear_q_k_v, attention.linear_out
        self._widen, self._narrow = feed_forward.w_1, feed_forward.w_2
        self._has_residual = layer.in_size == layer.size
        self._kernel = kernel_with_residual(attention.fsmn_block)

    def __call__(self, frames: torch.Tensor, layout: Layout) -> torch.Tensor:
        projected = self._project(layer_norm(frames, self._before_attention))
        queries, keys_values = projected.tensor_split([projected.shape[-1] // 3], dim=-1)
        context = layout.attend(queries, keys_values, self._heads, layout)
        values = keys_values[..., keys_values.shape[-1] // 2 :]
        memories = layout.fsmn_conv(values, self._kernel)
        if self._has_residual:
            memories.add_(frames)
        mixed = add_linear(memories, self._out, context)
        wide = linear_relu(self._widen, layer_norm(mixed, self._before_feed_forward))
        return add_linear(mixed, self._narrow, wide)


def kernel_with_residual(memory_block: Any) -> torch.Tensor:
    """The filter of a memory block and what FunASR adds to its output: its own input."""
    kernel: torch.Tensor = memory_block.weight.detach().clone()
    kernel[:, :, kernel.shape[2] // 2] += 1
    return kernel


def layer_norm(frames: torch.Tensor, norm: Any) -> torch.Tensor:
    """Layer normalisation by the module's weights."""
    return F.layer_norm(frames, norm.normalized_shape, norm.weight, norm.bias, norm.eps)
