"""Layer normalisation of each pixel."""

import pytest
import torch

from blocks.normalization import LayerNorm

X = torch.randn(3, 8, 5, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 2 + 1


def test_each_pixel_is_normalised_over_its_channels():
    module = LayerNorm(8).double()
    with torch.no_grad():
        module.weight.copy_(torch.linspace(0.5, 1.5, 8))
        module.bias.copy_(torch.linspace(-1, 1, 8))
    y = module(X)

    for b in range(3):
        for i in range(5):
            for j in range(4):
                values = X[b, :, i, j].tolist()
                mean = sum(values) / 8
                variance = sum((value - mean) ** 2 for value in values) / 8
                expected = (X[b, :, i, j] - mean) / (variance + 1e-6) ** 0.5 * module.weight + module.bias
                torch.testing.assert_close(y[b, :, i, j], expected)


def test_a_pixel_sees_no_other():
    changed = X.clone()
    changed[:, :, 2, 1] += 100 * X[:, :, 0, 0]
    module = LayerNorm(8).double()
    differs = (module(changed) != module(X)).any(1)

    assert differs[:, 2, 1].all()
    assert differs.sum() == 3


def test_there_are_a_gain_and_a_bias_per_channel():
    assert sum(parameter.numel() for parameter in LayerNorm(64).parameters()) == 128


def test_a_single_channel_is_refused():
    with pytest.raises(ValueError, match="layer: channels=1 leaves nothing to normalise; 2 or more would fit"):
        LayerNorm(1)


@pytest.mark.slow
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("channels", [2, 64])
def test_it_equals_timms(timm, assert_twins, channels, memory_format):
    x = torch.randn(4, channels, 9, 7).contiguous(memory_format=memory_format)

    assert_twins(LayerNorm(channels), timm.layers.LayerNorm2d(channels), x)
