"""Channels summed up over the pixels: values and gradients against torch's own reductions, in both layouts."""

import pytest
import torch

from blocks.squeeze import average, maximum


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize(("squeeze", "plain"), [(average, torch.mean), (maximum, torch.amax)])
@pytest.mark.parametrize("sides", [(5, 4), (1, 7), (1, 1)])
def test_each_channel_becomes_one_value_whose_gradient_goes_back_to_its_pixels(squeeze, plain, sides, memory_format):
    x = torch.randn(2, 3, *sides, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    x = x.contiguous(memory_format=memory_format).requires_grad_()
    weights = torch.arange(1.0, 7.0, dtype=torch.float64).reshape(2, 3)
    expected = plain(x, (2, 3))
    (gradient,) = torch.autograd.grad((expected * weights).sum(), x)

    y = squeeze(x)

    torch.testing.assert_close(y, expected, rtol=1e-12, atol=0)
    torch.testing.assert_close(torch.autograd.grad((y * weights).sum(), x)[0], gradient, rtol=1e-12, atol=0)
