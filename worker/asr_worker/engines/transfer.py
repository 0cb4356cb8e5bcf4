"""Tensors to the device without waiting for it."""

from __future__ import annotations

import torch


def to_device(tensor: torch.Tensor, device: torch.device | str) -> torch.Tensor:
    """The tensor on `device`. To a GPU it is copied from pinned memory, behind what runs there.

    torch keeps the pinned memory until the copy is done. A copy from pageable memory would wait for
    the batch before.
    """
    if torch.device(device).type != "cuda":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)
