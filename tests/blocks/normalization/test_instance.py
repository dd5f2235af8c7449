"""Instance normalisation, in both layouts in memory, which are computed in two ways."""

import pytest
import torch
from torch import nn

from blocks.normalization import InstanceNorm

X = torch.randn(3, 8, 5, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 2 + 1
both_layouts = pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])


@both_layouts
@pytest.mark.parametrize("affine", [False, True])
def test_each_channel_of_each_sample_is_normalised_by_itself(affine, memory_format):
    module = InstanceNorm(8, affine=affine).double()
    gains, biases = [1.0] * 8, [0.0] * 8
    if affine:
        with torch.no_grad():
            module.weight.copy_(torch.linspace(0.5, 1.5, 8))
            module.bias.copy_(torch.linspace(-1, 1, 8))
        gains, biases = module.weight, module.bias
    y = module(X.contiguous(memory_format=memory_format))

    for b in range(3):
        for c in range(8):
            values = [float(X[b, c, i, j]) for i in range(5) for j in range(4)]
            mean = sum(values) / 20
            variance = sum((value - mean) ** 2 for value in values) / 20
            torch.testing.assert_close(y[b, c], (X[b, c] - mean) / (variance + 1e-5) ** 0.5 * gains[c] + biases[c])


@both_layouts
def test_it_equals_torchs_with_its_gradients(assert_twins, memory_format):
    x = X.contiguous(memory_format=memory_format)

    assert_twins(InstanceNorm(8, affine=True), nn.InstanceNorm2d(8, affine=True), x)


@both_layouts
def test_gradients_are_those_of_finite_differences(memory_format):
    x = X[:2, :2].contiguous(memory_format=memory_format).requires_grad_()

    assert torch.autograd.gradcheck(InstanceNorm(2).double(), x)


def test_there_are_a_gain_and_a_bias_per_channel_if_asked_for():
    assert list(InstanceNorm(64).parameters()) == []
    assert InstanceNorm(64).state_dict() == {}
    assert {name: tuple(tensor.shape) for name, tensor in InstanceNorm(64, affine=True).named_parameters()} == {
        "weight": (64,),
        "bias": (64,),
    }


@both_layouts
def test_half_precision_costs_no_more_than_rounding_where_the_mean_is_large(memory_format):
    x = (torch.randn(2, 8, 16, 16) + 10).bfloat16().contiguous(memory_format=memory_format)

    y = InstanceNorm(8)(x)

    assert y.dtype == torch.bfloat16
    torch.testing.assert_close(y.float(), InstanceNorm(8)(x.float()), rtol=0.005, atol=0.001)


@both_layouts
@pytest.mark.parametrize("is_training", [True, False])
def test_a_single_pixel_is_refused_because_it_would_always_become_zero(is_training, memory_format):
    x = torch.randn(2, 8, 1, 1).contiguous(memory_format=memory_format)

    with pytest.raises(ValueError, match="instance: a 1×1 map leaves a single value"):
        InstanceNorm(8).train(is_training)(x)
