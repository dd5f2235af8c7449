"""Depthwise separable convolution."""

import pytest
import torch
from torch import nn

from blocks.convolution import DenseConvolution, DepthwiseConvolution
from blocks.convolution.separable import SeparableConvolution
from blocks.mixing import PointwiseConvolution

X = torch.randn(2, 8, 7, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def test_weights_are_as_many_as_computed_by_hand():
    assert sum(parameter.numel() for parameter in SeparableConvolution(64, 64, 3).parameters()) == 4_672
    assert sum(parameter.numel() for parameter in SeparableConvolution(64, 128, 5).parameters()) == 9_792


def test_it_is_a_depthwise_convolution_followed_by_the_mix_pointwise():
    module = SeparableConvolution(8, 8, 3, 2, dilation=2).double()
    both = nn.Sequential(DepthwiseConvolution(8, 8, 3, 2, dilation=2), PointwiseConvolution(8)).double()
    both.load_state_dict(dict(zip(both.state_dict(), module.state_dict().values(), strict=True)))

    assert torch.equal(module(X), both(X))


def test_it_is_a_dense_convolution_whose_weights_are_products():
    module, dense = SeparableConvolution(8, 16, 3, 2).double(), DenseConvolution(8, 16, 3, 2).double()
    with torch.no_grad():
        for o in range(16):
            for c in range(8):
                dense.weight[o, c] = module.pointwise.weight[o, c, 0, 0] * module.depthwise.weight[c, 0]

    torch.testing.assert_close(module(X), dense(X), rtol=1e-9, atol=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("stride", [1, 2])
def test_it_equals_timms(timm, assert_twins, renamed, stride):
    theirs = timm.layers.SeparableConv2d(8, 16, 3, stride=stride)

    assert_twins(
        SeparableConvolution(8, 16, 3, stride), theirs, X,
        translate=renamed(("conv_dw", "depthwise"), ("conv_pw", "pointwise")),
    )  # fmt: skip
