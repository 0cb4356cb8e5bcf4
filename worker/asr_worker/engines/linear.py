"""Linear layers in float32 through oneDNN, with weights packed once.

On x86 torch multiplies float32 through MKL and repacks the weights in every call. oneDNN compiles
and caches a kernel of some 0.8 MB for each layer shape and row count, so row counts are rounded to
a few values.
"""

from __future__ import annotations

import platform
from typing import Any, Final

import torch
import torch.nn.functional as F

_OPERATORS: Final = ("_linear_pointwise", "_reorder_linear_weight")


def rounded_rows(rows: int) -> int:
    """`rows` rounded up to one of few counts: multiples of 16, at least 16 per doubling."""
    step = max(16, 1 << max(rows.bit_length() - 5, 0))
    return -(-rows // step) * step


class PackedLinear(torch.nn.Module):  # type: ignore[misc]  # torch is Any here
    """An `nn.Linear` for inference, with the pointwise operation after it fused."""

    def __init__(self, linear: torch.nn.Linear) -> None:
        super().__init__()
        self._weight = torch.ops.mkldnn._reorder_linear_weight(linear.weight.detach())
        self._bias = None if linear.bias is None else linear.bias.detach()

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self._multiplied(inputs, "none")

    def relu(self, inputs: torch.Tensor) -> torch.Tensor:
        return self._multiplied(inputs, "relu")

    def add_linear(self, inputs: torch.Tensor, residual: torch.Tensor) -> torch.Tensor:
        """The output added to `residual` (…, out)."""
        return self._multiplied(inputs, "add", residual)

    def _multiplied(
        self, inputs: torch.Tensor, then: str, residual: torch.Tensor | None = None
    ) -> torch.Tensor:
        flat, more = _padded_rows(inputs)
        pointwise = torch.ops.mkldnn._linear_pointwise
        output: torch.Tensor
        if residual is None:
            output = pointwise(flat, self._weight, self._bias, then, [], "")
        else:
            output = pointwise.binary(
                flat, _padded_rows(residual)[0], self._weight, self._bias, then
            )
        return output[: len(flat) - more].reshape(*inputs.shape[:-1], -1)


def _padded_rows(inputs: torch.Tensor) -> tuple[torch.Tensor, int]:
    """`inputs` as (rows, size) with zero rows appended, and the number of those."""
    flat = inputs.reshape(-1, inputs.shape[-1])
    more = rounded_rows(len(flat)) - len(flat)
    return (F.pad(flat, (0, 0, 0, more)) if more else flat), more


def can_pack() -> bool:
    """Whether oneDNN is available where torch would use MKL."""
    if platform.machine() not in ("x86_64", "AMD64") or not torch.backends.mkldnn.is_available():
        return False
    return all(hasattr(torch.ops.mkldnn, name) for name in _OPERATORS)


def packed(model: Any) -> Any:
    """The model with its float32 linear layers replaced, one after another, by packed ones."""
    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            if type(child) is torch.nn.Linear and child.weight.dtype == torch.float32:
                setattr(module, name, PackedLinear(child))
    return model


def linear_relu(layer: Any, inputs: torch.Tensor) -> torch.Tensor:
    """relu(layer(inputs))."""
    output: torch.Tensor = (
        layer.relu(inputs) if isinstance(layer, PackedLinear) else layer(inputs).relu_()
    )
    return output


def add_linear(residual: torch.Tensor, layer: Any, inputs: torch.Tensor) -> torch.Tensor:
    """residual + layer(inputs)."""
    output: torch.Tensor = (
        layer.add_linear(inputs, residual)
        if isinstance(layer, PackedLinear)
        else layer(inputs).add_(residual)
    )
    return output
