"""Downsampling by stride: what convolves is asked for a stride of two, and nothing else happens."""

import torch

from blocks.convolution import DenseConvolution
from blocks.downsampling import Strided


def test_it_is_the_convolution_with_stride_two():
    asked = []

    def conv(in_channels, out_channels, stride):
        asked.append((in_channels, out_channels, stride))
        return DenseConvolution(in_channels, out_channels, 3, stride)

    block, x = Strided(4, 6, conv), torch.randn(2, 4, 5, 7)
    everywhere = torch.nn.functional.conv2d(x, block.conv.weight, padding=1)

    assert asked == [(4, 6, 2)]
    torch.testing.assert_close(block(x), everywhere[:, :, ::2, ::2])
    assert list(block.state_dict()) == ["conv.weight"]
