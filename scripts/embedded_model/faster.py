"""Cheaper stand-ins for parts of FunASR's encoder while it trains on a CPU.

They compute what the originals compute (dropout aside) on the same parameters, so that the
trained weights load into FunASR's own classes.
"""

from __future__ import annotations

import types
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn


class SharedDropout(nn.Module):  # type: ignore[misc, unused-ignore]
    """Dropout with one mask for all the time steps: regularises alike, costs far less."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """Mask ``values`` of shape (batch, time, size) while training."""
        if not self.training or self.rate == 0:
            return values
        shape = (values.shape[0], 1, values.shape[2])
        return values * ((torch.rand(shape) > self.rate) / (1 - self.rate))


def memory_attention(
    self: Any,
    values: torch.Tensor,
    mask: torch.Tensor,
    mask_shfit_chunk: None = None,
    mask_att_chunk_encoder: None = None,
) -> torch.Tensor:
    """Self-attention plus memory block of (batch, time, size) with a (batch, 1, time) mask."""
    del mask_shfit_chunk, mask_att_chunk_encoder
    batch, time, _ = values.shape
    projected = self.linear_q_k_v(values)
    heads = projected.view(batch, time, 3, self.h, self.d_k).permute(2, 0, 3, 1, 4)
    attended = F.scaled_dot_product_attention(
        heads[0], heads[1], heads[2], attn_mask=mask.bool()[:, None]
    )
    attended = self.linear_out(attended.transpose(1, 2).reshape(batch, time, -1))
    column = mask.transpose(1, 2)
    source = projected[..., -self.h * self.d_k :] * column
    memory = source + self.fsmn_block(self.pad_fn(source.transpose(1, 2))).transpose(1, 2)
    result: torch.Tensor = attended + self.dropout(memory) * column
    return result


def speed_up(module: nn.Module, dropout: float) -> None:
    """Replace the dropouts and the attention inside ``module`` (in place)."""
    from funasr.models.sense_voice.model import MultiHeadedAttentionSANM

    for name, child in module.named_children():
        if isinstance(child, nn.Dropout):
            setattr(module, name, SharedDropout(dropout if child.p > 0 else 0.0))
            continue
        speed_up(child, dropout)
        if isinstance(child, MultiHeadedAttentionSANM):
            child.forward = types.MethodType(memory_attention, child)
