"""Root mean square normalisation."""

import pytest
import torch
from torch.nn import functional

from blocks.normalization.rms import RMSNorm

X = torch.randn(3, 8, 5, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 2 + 1


def test_each_pixel_is_divided_by_the_root_of_its_mean_square():
    module = RMSNorm(8).double()
    with torch.no_grad():
        module.weight.copy_(torch.linspace(0.5, 1.5, 8))
    y = module(X)

    for b in range(3):
        for i in range(5):
            for j in range(4):
                square = sum(value**2 for value in X[b, :, i, j].tolist()) / 8
                expected = X[b, :, i, j] / (square + 1e-6) ** 0.5 * module.weight
                torch.testing.assert_close(y[b, :, i, j], expected)


def test_it_is_torchs_with_channels_last():
    expected = functional.rms_norm(X.permute(0, 2, 3, 1), (8,), eps=1e-6).permute(0, 3, 1, 2)

    torch.testing.assert_close(RMSNorm(8).double()(X), expected, rtol=1e-9, atol=0)


def test_a_factor_of_the_input_changes_nothing_but_a_shift_does():
    module = RMSNorm(8).double()

    torch.testing.assert_close(module(X * 50), module(X), rtol=1e-3, atol=1e-3)
    assert (module(X + 5) - module(X)).abs().max() > 0.5


def test_a_pixel_of_zeros_stays_zero_with_a_finite_gradient():
    x = torch.zeros(1, 8, 2, 2, requires_grad=True)
    y = RMSNorm(8)(x)
    y.sum().backward()

    assert not y.any()
    assert x.grad.isfinite().all()


def test_what_is_added_to_the_mean_square_counts_where_values_are_small():
    y = RMSNorm(8)(torch.full((1, 8, 1, 1), 1e-3))

    torch.testing.assert_close(y, torch.full_like(y, 0.5**0.5))  # 1e-3 / (1e-6 + 1e-6) ** 0.5


def test_there_is_a_gain_per_channel_and_no_bias():
    assert [(name, tuple(tensor.shape)) for name, tensor in RMSNorm(64).named_parameters()] == [("weight", (64,))]


def test_a_single_channel_is_refused():
    with pytest.raises(ValueError, match="rms: channels=1 is too small; 2 or more would fit"):
        RMSNorm(1)


@pytest.mark.slow
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("channels", [2, 64])
def test_it_equals_timms(timm, assert_twins, channels, memory_format):
    x = torch.randn(4, channels, 9, 7).contiguous(memory_format=memory_format)

    assert_twins(RMSNorm(channels), timm.layers.RmsNorm2d(channels), x)
