"""Efficient channel attention against its paper and against timm."""

import math

import pytest
import torch

from blocks.attention import EfficientChannel

X = torch.randn(2, 32, 5, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("channels", "kernel"), [(16, 3), (32, 3), (64, 3), (128, 5), (256, 5), (512, 5), (1_024, 5), (2_048, 7)]
)
def test_the_kernel_follows_the_formula_of_the_paper(channels, kernel):
    module = EfficientChannel(channels)

    assert sum(parameter.numel() for parameter in module.parameters()) == kernel


def test_each_channel_sees_its_neighbours_and_zeros_beyond_the_ends():
    module = EfficientChannel(32, kernel=5).double()
    weights = module.conv.weight.flatten().tolist()
    y = module(X)

    for b in range(2):
        averages = [0.0, 0.0, *(sum(X[b, c].flatten().tolist()) / 20 for c in range(32)), 0.0, 0.0]
        for c in range(32):
            gate = 1 / (1 + math.exp(-sum(w * averages[c + i] for i, w in enumerate(weights))))
            torch.testing.assert_close(y[b, c], X[b, c] * gate)


@pytest.mark.slow
@pytest.mark.parametrize("channels", [16, 32, 128, 2_048])
def test_it_equals_that_of_timm(timm, assert_twins, channels):
    x = torch.randn(2, channels, 3, 2, generator=torch.Generator().manual_seed(0))

    assert_twins(EfficientChannel(channels), timm.layers.EcaModule(channels), x)


@pytest.mark.slow
def test_it_equals_that_of_timm_with_a_given_kernel(timm, assert_twins):
    assert_twins(EfficientChannel(32, kernel=9), timm.layers.EcaModule(kernel_size=9), X)


def test_a_kernel_without_a_middle_is_refused_with_those_that_would_fit():
    with pytest.raises(ValueError, match="eca: kernel=4 has no middle channel; 3 or 5 would fit"):
        EfficientChannel(8, kernel=4)


def test_a_kernel_that_reaches_beyond_all_channels_is_refused():
    assert EfficientChannel(8, kernel=15)(X[:, :8].float()).shape == (2, 8, 5, 4)
    with pytest.raises(ValueError, match="eca: kernel=17 reaches beyond all of 8 channels; 1 to 15 would fit"):
        EfficientChannel(8, kernel=17)
