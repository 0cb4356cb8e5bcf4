"""The precision in which a model computes: float32, bfloat16 or int8.

int8 is torch's dynamic quantisation: weights of linear layers once, their inputs in each call; the
rest stays float32. Inputs are scaled per call, so the other segments of a batch may change a
rounding and occasionally a word. Weights are scaled per output channel.
"""

from __future__ import annotations

import warnings
from typing import Any

import torch

from asr_worker.engines.linear import can_pack, packed
from asr_worker.errors import ModelNotLoaded
from asr_worker.settings import Precision


def lowered(model: Any, precision: Precision, device: str) -> Any:
    """The model in `precision`. Raises ModelNotLoaded if the device does not support it."""
    if precision == "int8":
        return _quantised(model, device)
    if precision == "bfloat16":
        return model.bfloat16()
    return packed(model) if device == "cpu" and can_pack() else model


def int8_kernels() -> str | None:
    """torch's quantised backend for int8 on this CPU; None if there is none.

    Without VNNI, FBGEMM accumulates in 16 bits, which is exact for its 7-bit inputs.
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
    with warnings.catch_warnings():  # deprecated in favour of torchao
        warnings.simplefilter("ignore")
        from torch.ao.quantization import per_channel_dynamic_qconfig, quantize_dynamic

        return quantize_dynamic(model, {torch.nn.Linear: per_channel_dynamic_qconfig})
