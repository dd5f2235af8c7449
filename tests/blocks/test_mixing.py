"""What connects groups: shuffles are permutations, pointwise convolutions are matrices."""

import pytest
import torch
from torch import nn

from blocks.absence import Nothing
from blocks.mixing import ChannelShuffle, PointwiseConvolution

torch.manual_seed(0)
X = torch.randn(2, 12, 3, 5)


def test_a_shuffle_deals_the_groups_out_in_turn():
    x = torch.arange(6.0).reshape(1, 6, 1, 1)

    assert ChannelShuffle(6, groups=2)(x).flatten().tolist() == [0, 3, 1, 4, 2, 5]
    assert ChannelShuffle(6, groups=3)(x).flatten().tolist() == [0, 2, 4, 1, 3, 5]


@pytest.mark.parametrize("groups", [1, 2, 3, 4, 6, 12])
def test_a_shuffle_is_undone_by_the_shuffle_with_the_other_factor(groups):
    shuffled = ChannelShuffle(12, groups=groups)(X)

    assert torch.equal(shuffled, nn.ChannelShuffle(groups)(X))
    assert torch.equal(ChannelShuffle(12, groups=12 // groups)(shuffled), X)


@pytest.mark.parametrize("groups", [1, 12])
def test_a_shuffle_of_one_group_or_of_single_channels_changes_nothing(groups):
    assert torch.equal(ChannelShuffle(12, groups=groups)(X), X)


def test_a_shuffle_has_no_weights_and_passes_gradients_back_in_order():
    module = ChannelShuffle(12, groups=3)
    x = X.clone().requires_grad_()
    module(x).backward(module(X))

    assert list(module.parameters()) == []
    assert torch.equal(x.grad, X)


def test_a_pointwise_convolution_is_one_matrix_for_all_pixels():
    module = PointwiseConvolution(12)

    torch.testing.assert_close(module(X), torch.einsum("oc,bchw->bohw", module.weight[:, :, 0, 0], X))
    assert sum(parameter.numel() for parameter in PointwiseConvolution(64).parameters()) == 4_096


def test_a_pointwise_convolution_starts_with_the_deviation_of_he_et_al():
    assert PointwiseConvolution(256).weight.std().item() == pytest.approx((2 / 256) ** 0.5, rel=0.02)


def test_nothing_returns_the_very_input():
    assert Nothing(12)(X) is X


def test_groups_that_do_not_divide_the_channels_are_refused_with_those_that_do():
    with pytest.raises(ValueError, match="shuffle: groups=5 does not divide 12 channels; 1, 2, 3, 4, 6, 12 would fit"):
        ChannelShuffle(12, groups=5)
