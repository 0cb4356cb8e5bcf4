"""Copies tensors to the device and back without synchronising.

torch keeps pinned memory until the copies from and to it are done. A copy from or to pageable
memory would wait for all work queued before it.
"""

from __future__ import annotations

from typing import Any

import numpy.typing as npt
import torch


def to_device(tensor: torch.Tensor, device: torch.device | str) -> torch.Tensor:
    """The tensor on `device`; a copy to a GPU is queued on its stream."""
    if torch.device(device).type != "cuda":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)


class HostCopy:
    """An asynchronous copy of a tensor to the CPU, queued after the work that computes it."""

    def __init__(self, tensor: torch.Tensor) -> None:
        self._copied: torch.cuda.Event | None = None
        self._host = tensor
        if tensor.is_cuda:
            self._host = torch.empty_like(tensor, device="cpu", pin_memory=True)
            self._host.copy_(tensor, non_blocking=True)
            self._copied = torch.cuda.Event(blocking=True)  # waits without spinning
            self._copied.record(torch.cuda.current_stream(tensor.device))

    def numpy(self) -> npt.NDArray[Any]:
        """Waits until the copy is done. Any thread may call it."""
        if self._copied is not None:
            self._copied.synchronize()
        values: npt.NDArray[Any] = self._host.numpy()
        return values
