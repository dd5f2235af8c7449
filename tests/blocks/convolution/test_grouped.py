"""Grouped convolution: between dense and depthwise."""

import pytest
import torch

from blocks.convolution import DenseConvolution, DepthwiseConvolution, GroupedConvolution

X = torch.randn(2, 8, 7, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.mark.parametrize(("groups", "count"), [(1, 36_864), (4, 9_216), (32, 1_152), (64, 576)])
def test_weights_are_as_many_as_computed_by_hand(groups, count):
    assert sum(parameter.numel() for parameter in GroupedConvolution(64, 64, 3, groups=groups).parameters()) == count


@pytest.mark.parametrize("dilation", [1, 2])
@pytest.mark.parametrize(("groups", "make"), [(1, DenseConvolution), (8, DepthwiseConvolution)])
def test_one_group_is_dense_and_as_many_as_channels_is_depthwise(groups, make, dilation):
    grouped = GroupedConvolution(8, 16, 3, 2, groups=groups, dilation=dilation).double()
    same = make(8, 16, 3, 2, dilation=dilation).double()
    grouped.load_state_dict(same.state_dict())

    assert torch.equal(grouped(X), same(X))


@pytest.mark.parametrize("groups", [2, 4])
def test_it_is_a_dense_convolution_with_blocks_on_the_diagonal(groups):
    grouped, dense = GroupedConvolution(8, 16, 3, groups=groups).double(), DenseConvolution(8, 16, 3).double()
    with torch.no_grad():
        dense.weight.zero_()
        for g in range(groups):
            ins, outs = slice(8 // groups * g, 8 // groups * (g + 1)), slice(16 // groups * g, 16 // groups * (g + 1))
            dense.weight[outs, ins] = grouped.weight[outs]

    torch.testing.assert_close(grouped(X), dense(X), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        (3, "grouped: groups=3 does not divide 12 input and 16 output channels; 1, 2, 4 would fit"),
        (0, "grouped: groups=0 does not divide"),
    ],
)
def test_groups_that_do_not_divide_are_refused_with_those_that_do(groups, message):
    with pytest.raises(ValueError, match=message):
        GroupedConvolution(12, 16, 3, groups=groups)
