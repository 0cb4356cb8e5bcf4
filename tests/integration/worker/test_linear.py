"""Linear layers through oneDNN say what torch's say, whatever the number of rows."""

import copy
from typing import Any

import pytest
import torch

from asr_worker.engines.linear import (
    PackedLinear,
    add_linear,
    can_pack,
    linear_relu,
    packed,
    rounded_rows,
)

pytestmark = pytest.mark.skipif(not can_pack(), reason="torch has no oneDNN for this processor")


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(1, 96), (16, 96), (37, 96), (3, 21, 96), (1043, 96)])
def test_output_and_what_follows_it_are_those_of_torch(shape: tuple[int, ...], bias: bool) -> None:
    linear = torch.nn.Linear(96, 40, bias=bias)
    layer = PackedLinear(linear)
    with torch.inference_mode():
        inputs, residual = torch.randn(shape), torch.randn(*shape[:-1], 40)
        expected = linear(inputs)
        for ours, theirs in (
            (layer(inputs), expected),
            (linear_relu(layer, inputs), expected.relu()),
            (add_linear(residual, layer, inputs), residual + expected),
        ):
            assert ours.shape == theirs.shape
            assert torch.allclose(ours, theirs, atol=1e-5)


@pytest.mark.parametrize("layer", [torch.nn.Linear(8, 8), PackedLinear(torch.nn.Linear(8, 8))])
def test_what_goes_in_is_left_as_it_was(layer: Any) -> None:
    with torch.inference_mode():
        inputs, residual = torch.randn(5, 8), torch.randn(5, 8)
        before = inputs.clone(), residual.clone()
        linear_relu(layer, inputs)
        add_linear(residual, layer, inputs)
        assert torch.equal(inputs, before[0])
        assert torch.equal(residual, before[1])


def test_numbers_of_rows_are_few_and_hardly_more_than_needed() -> None:
    for rows in range(1, 3000):
        assert rows <= rounded_rows(rows) <= max(rows * 17 / 16, rows + 15)
        assert rounded_rows(rounded_rows(rows)) == rounded_rows(rows)
    assert len({rounded_rows(rows) for rows in range(1, 1200)}) <= 52
    assert len({rounded_rows(rows) for rows in range(1, 10_000)}) <= 104


def test_all_linear_layers_of_a_model_are_replaced_and_their_weights_let_go() -> None:
    model = torch.nn.Sequential(
        torch.nn.Linear(32, 32), torch.nn.Sequential(torch.nn.ReLU(), torch.nn.Linear(32, 8))
    )
    plain, inputs = copy.deepcopy(model), torch.randn(7, 32)
    with torch.inference_mode():
        ours = packed(model)
        assert torch.allclose(ours(inputs), plain(inputs), atol=1e-5)
    assert not list(ours.parameters())
    assert packed(plain.bfloat16()) is plain
    assert [type(each) for each in plain.modules()].count(torch.nn.Linear) == 2
