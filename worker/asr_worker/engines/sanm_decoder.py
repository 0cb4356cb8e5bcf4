"""Paraformer's decoder for inference, with FunASR's weights, on batches in the encoder's layout.

All tokens of a segment are decoded at once, from their neighbours (convolution) and the segment's
frames (attention). Source: `funasr.models.paraformer.decoder.ParaformerSANMDecoder`.
"""

from __future__ import annotations

from typing import Any

import torch

from asr_worker.engines.linear import add_linear, linear_relu
from asr_worker.engines.sanm import NO_SUCH_VARIANT, Layout, kernel_with_residual, layer_norm
from asr_worker.errors import ModelNotLoaded


class SanmDecoder:
    """A loaded decoder's own modules in the order of inference."""

    def __init__(self, decoder: Any) -> None:
        """Raises ModelNotLoaded for a variant that no published model uses."""
        layers = (*decoder.decoders, *(decoder.decoders2 or ()), *decoder.decoders3)
        self._layers = [_Layer(layer) for layer in layers]
        self._after, self._out = decoder.after_norm, decoder.output_layer

    def __call__(
        self, tokens: torch.Tensor, layout: Layout, frames: torch.Tensor, memory: Layout
    ) -> torch.Tensor:
        """Scores over the vocabulary for every token, in `layout`.

        `tokens` (batch, most tokens, size) are the predictor's embeddings; `frames` is the
        encoder's output in the layout `memory`.
        """
        hidden = layout.from_padded(tokens).to(self._after.weight.dtype)
        for layer in self._layers:
            hidden = layer(hidden, layout, frames, memory)
        scores: torch.Tensor = self._out(layer_norm(hidden, self._after))
        return scores


class _Layer:
    """One `DecoderLayerSANM`; without attention or memory where the model has none."""

    def __init__(self, layer: Any) -> None:
        forward = layer.feed_forward
        if layer.concat_after or not layer.normalize_before:
            raise ModelNotLoaded(NO_SUCH_VARIANT)
        self._before_forward, self._inside_forward = layer.norm1, forward.norm
        self._widen, self._narrow = forward.w_1, forward.w_2
        self._kernel: torch.Tensor | None = None
        if layer.self_attn is not None:
            left, right = layer.self_attn.pad_fn.padding
            if left != right:
                raise ModelNotLoaded(NO_SUCH_VARIANT)
            self._before_memory = layer.norm2
            self._kernel = kernel_with_residual(layer.self_attn.fsmn_block)
        self._attention = layer.src_attn
        if self._attention is not None:
            self._before_attention = layer.norm3

    def __call__(
        self, tokens: torch.Tensor, layout: Layout, frames: torch.Tensor, memory: Layout
    ) -> torch.Tensor:
        wide = linear_relu(self._widen, layer_norm(tokens, self._before_forward))
        mixed: torch.Tensor = self._narrow(layer_norm(wide, self._inside_forward))
        if self._kernel is not None:
            mixed = tokens + layout.fsmn_conv(layer_norm(mixed, self._before_memory), self._kernel)
        if self._attention is not None:
            queries = self._attention.linear_q(layer_norm(mixed, self._before_attention))
            context = layout.attend(
                queries, self._attention.linear_k_v(frames), int(self._attention.h), memory
            )
            mixed = add_linear(mixed, self._attention.linear_out, context)
        return mixed
