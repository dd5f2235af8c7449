"""Layer normalisation that keeps the mean."""

import pytest
import torch

from blocks.normalization import LayerNorm
from blocks.normalization.bias_free import BiasFreeLayerNorm
from blocks.normalization.rms import RMSNorm

X = torch.randn(3, 8, 5, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 2 + 1


def moved(module):
    with torch.no_grad():
        module.weight.copy_(torch.linspace(0.5, 1.5, 8))
    return module.double()


def test_each_pixel_is_divided_by_its_deviation_around_the_mean():
    module = moved(BiasFreeLayerNorm(8))
    y = module(X)

    for b in range(3):
        for i in range(5):
            for j in range(4):
                values = X[b, :, i, j].tolist()
                mean = sum(values) / 8
                variance = sum((value - mean) ** 2 for value in values) / 8
                expected = X[b, :, i, j] / (variance + 1e-5) ** 0.5 * module.weight
                torch.testing.assert_close(y[b, :, i, j], expected)


def test_gradients_are_those_of_finite_differences():
    x = X[:1, :, :2, :2].clone().requires_grad_()

    assert torch.autograd.gradcheck(moved(BiasFreeLayerNorm(8)), x)


def test_the_mean_stays_so_that_it_is_neither_layer_norm_nor_rms_norm():
    y = BiasFreeLayerNorm(8).double()(X)

    torch.testing.assert_close(y - y.mean(1, keepdim=True), LayerNorm(8).double()(X), rtol=1e-4, atol=1e-4)
    assert y.mean(1).abs().min() > 1e-3
    assert (y - RMSNorm(8).double()(X)).abs().max() > 0.5


def test_without_a_mean_it_is_layer_norm_and_rms_norm():
    x = X - X.mean(1, keepdim=True)
    y = BiasFreeLayerNorm(8).double()(x)

    torch.testing.assert_close(y, LayerNorm(8).double()(x), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(y, RMSNorm(8).double()(x), rtol=1e-4, atol=1e-4)


def test_a_factor_of_the_input_changes_nothing():
    module = moved(BiasFreeLayerNorm(8))

    torch.testing.assert_close(module(X * 50), module(X), rtol=1e-3, atol=1e-3)


def test_half_precision_costs_no_more_than_rounding_where_the_mean_is_large():
    x = (torch.randn(2, 64, 4, 4) + 10).bfloat16()
    exact = BiasFreeLayerNorm(64)(x.float())

    assert (BiasFreeLayerNorm(64).bfloat16()(x).float() - exact).norm() < 0.01 * exact.norm()


def test_there_is_a_gain_per_channel_and_no_bias():
    assert [(name, tuple(tensor.shape)) for name, tensor in BiasFreeLayerNorm(48).named_parameters()] == [
        ("weight", (48,))
    ]


def test_a_single_channel_is_refused():
    with pytest.raises(ValueError, match="bias-free-layer: channels=1 is too small; 2 or more would fit"):
        BiasFreeLayerNorm(1)
