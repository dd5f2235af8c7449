"""Partial convolution: which channels are convolved and which pass."""

import pytest
import torch

from blocks.convolution import DenseConvolution
from blocks.convolution.partial import PartialConvolution

X = torch.randn(2, 8, 7, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def test_weights_are_a_sixteenth_of_the_dense_ones_as_in_the_paper():
    assert sum(parameter.numel() for parameter in PartialConvolution(64, 64, 3).parameters()) == 36_864 // 16
    assert sum(parameter.numel() for parameter in PartialConvolution(32, 64, 3, 2).parameters()) == 8 * 40 * 9


@pytest.mark.parametrize("stride", [1, 2])
def test_all_but_the_first_part_pass_unchanged(stride):
    y = PartialConvolution(8, 12, 3, stride).double()(X)

    assert torch.equal(y[:, -6:], X[:, 2:, ::stride, ::stride])


def test_one_part_is_the_dense_convolution():
    module, dense = PartialConvolution(8, 16, 3, 2, share=1).double(), DenseConvolution(8, 16, 3, 2).double()
    module.conv.load_state_dict(dense.state_dict())

    assert torch.equal(module(X), dense(X))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"in_channels": 12, "share": 5}, "partial: share=5 does not divide 12 channels; 1, 2, 3, 4, 6, 12 would fit"),
        ({"in_channels": 12, "share": 0}, "partial: share=0 does not divide 12 channels"),
        (
            {"in_channels": 16},
            "passes 12 of 16 input channels on, which leaves none of 12 output channels to convolve; 13 output channels or",
        ),
    ],
)
def test_channels_that_do_not_fit_are_refused_with_those_that_would(arguments, message):
    with pytest.raises(ValueError, match=message):
        PartialConvolution(out_channels=12, kernel=3, **arguments)


@pytest.mark.slow
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("share", [2, 4, 8])
def test_it_equals_timms(timm, assert_twins, renamed, share, memory_format):
    theirs = timm.models.fasternet.Partial_conv3(16, share, "split_cat")
    x = torch.randn(2, 16, 9, 7).contiguous(memory_format=memory_format)

    assert_twins(PartialConvolution(16, 16, 3, share=share), theirs, x, translate=renamed(("partial_conv3", "conv")))
