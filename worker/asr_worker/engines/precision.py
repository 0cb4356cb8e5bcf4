"""In which numbers a model computes: float32, bfloat16, or integers of eight bits.

int8 quantises the weights of linear layers once and their inputs anew in each call (torch's dynamic
quantisation); the rest stays float32. An input's range is that of the whole call, so what shares a
batch may change a rounding, and now and then a word. Each output has a range of its own.
"""

from __future__ import annotations

import warnings
from typing import Any

import torch

from asr_worker.engines.base import ModelNotLoaded
from asr_worker.engines.linear import can_pack, packed
from asr_worker.settings import Precision


def lowered(model: Any, precision: Precision, device: str) -> Any:
    """The model in `precision`. Raises ModelNotLoaded where the device lacks it."""
    if precision == "int8":
        return _quantised(model, device)
    if precision == "bfloat16":
        return model.bfloat16()
    return packed(model) if device == "cpu" and can_pack() else model


def int8_kernels() -> str | None:
    """The library of torch's that multiplies int8 here; None where there is none.

    FBGEMM adds up in 16 bits where there is no VNNI, and takes inputs of 7 bits, which fit.
    """
    kernels = "onednn" if torch.cpu._is_vnni_supported() else "fbgemm"
    return kernels if kernels in torch.backends.quantized.supported_engines else None


def _quantised(model: Any, device: str) -> Any:
    if device != "cpu":
        raise ModelNotLoaded("int8 is for CPUs; on a GPU ASR_PRECISION is float32 or bfloat16")
    kernels = int8_kernels()
    if kernels is None:
        raise ModelNotLoaded("int8 needs an x86 CPU with AVX2; use float32")
    torch.backends.quantized.engine = kernels
    with warnings.catch_warnings():  # it is to move to another package one day
        warnings.simplefilter("ignore")
        from torch.ao.quantization import per_channel_dynamic_qconfig, quantize_dynamic

        return quantize_dynamic(model, {torch.nn.Linear: per_channel_dynamic_qconfig})
