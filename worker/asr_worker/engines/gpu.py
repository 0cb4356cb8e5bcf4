"""Utilisation and memory of an engine's GPU, from torch and the driver."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass


@dataclass(frozen=True)
class GpuUse:
    """Of the whole device, all its users together. `percent` is None if the driver has no value."""

    percent: float | None
    memory_bytes: int
    memory_total_bytes: int


def gpu_use(device: str) -> GpuUse | None:
    """None for an engine on a CPU, and where the device does not answer."""
    if not device.startswith("cuda"):
        return None
    import torch

    percent = None
    with suppress(Exception):  # a slice of a GPU has no rate; NVML's errors stand in no known tree
        percent = float(torch.cuda.utilization(device))
    try:
        free_bytes, total_bytes = torch.cuda.mem_get_info(device)
    except (RuntimeError, AssertionError):  # the latter of a torch that was built without
        return None
    return GpuUse(percent, total_bytes - free_bytes, total_bytes)
