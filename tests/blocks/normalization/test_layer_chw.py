"""Layer normalisation over channels and pixels together."""

import pytest
import torch
from torch import nn

from blocks.normalization import LayerNormCHW

X = torch.randn(3, 8, 5, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 2 + 1


def test_each_sample_is_normalised_as_a_whole():
    module = LayerNormCHW(8).double()
    with torch.no_grad():
        module.weight.copy_(torch.linspace(0.5, 1.5, 8))
        module.bias.copy_(torch.linspace(-1, 1, 8))
    y = module(X)

    for b in range(3):
        values = X[b].flatten().tolist()
        mean = sum(values) / 160
        variance = sum((value - mean) ** 2 for value in values) / 160
        for c in range(8):
            expected = (X[b, c] - mean) / (variance + 1e-5) ** 0.5 * module.weight[c] + module.bias[c]
            torch.testing.assert_close(y[b, c], expected)


def test_it_starts_as_torchs_layer_norm_of_the_whole_sample_with_fewer_gains():
    whole = nn.LayerNorm((8, 5, 4)).double()

    torch.testing.assert_close(LayerNormCHW(8).double()(X), whole(X), rtol=1e-9, atol=1e-12)
    assert sum(parameter.numel() for parameter in LayerNormCHW(64).parameters()) == 128


@pytest.mark.parametrize("is_training", [True, False])
def test_a_single_value_is_refused_because_it_would_always_become_zero(is_training):
    with pytest.raises(ValueError, match="layer-chw: a 1×1 map leaves a single value"):
        LayerNormCHW(1).train(is_training)(torch.randn(2, 1, 1, 1))


@pytest.mark.slow
def test_it_equals_timms_group_norm_of_one_group(timm, assert_twins):
    assert_twins(LayerNormCHW(8), timm.layers.GroupNorm1(8), X)
