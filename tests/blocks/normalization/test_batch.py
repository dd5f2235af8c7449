"""Batch normalisation."""

import pytest
import torch
from torch import nn

from blocks.normalization import BatchNorm

X = torch.randn(3, 8, 5, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 2 + 1


def test_it_is_the_layer_of_torch(assert_twins):
    assert_twins(BatchNorm(8), nn.BatchNorm2d(8), X)


def test_each_channel_is_normalised_over_the_batch_in_training():
    module = BatchNorm(8).double()
    with torch.no_grad():
        module.weight.copy_(torch.linspace(0.5, 1.5, 8))
        module.bias.copy_(torch.linspace(-1, 1, 8))
    y = module(X)

    for c in range(8):
        values = [float(X[b, c, i, j]) for b in range(3) for i in range(5) for j in range(4)]
        mean = sum(values) / 60
        variance = sum((value - mean) ** 2 for value in values) / 60
        expected = (X[:, c] - mean) / (variance + 1e-5) ** 0.5 * module.weight[c] + module.bias[c]
        torch.testing.assert_close(y[:, c], expected)
        assert module.running_mean[c].item() == pytest.approx(0.1 * mean)
        assert module.running_var[c].item() == pytest.approx(0.9 + 0.1 * variance * 60 / 59)


def test_there_is_a_gain_and_a_bias_per_channel():
    assert {name: tuple(parameter.shape) for name, parameter in BatchNorm(64).named_parameters()} == {
        "weight": (64,),
        "bias": (64,),
    }


def test_a_single_value_of_each_channel_is_refused_in_training_alone():
    module, x = BatchNorm(8), torch.ones(1, 8, 1, 1)
    message = "batch: one sample of 1×1 pixels leaves a single value .* larger batches, .* or another norm would fit"
    with pytest.raises(ValueError, match=message):
        module(x)

    assert module.eval()(x).shape == (1, 8, 1, 1)
    assert module.train()(torch.ones(2, 8, 1, 1)).shape == (2, 8, 1, 1)
