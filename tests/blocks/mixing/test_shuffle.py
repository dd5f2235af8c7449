"""Channel shuffle: a permutation, and which one."""

import pytest
import torch
from torch import nn

from blocks.convolution import GroupedConvolution
from blocks.mixing import ChannelShuffle

X = torch.randn(2, 12, 3, 5, generator=torch.Generator().manual_seed(0))


def test_a_shuffle_deals_the_groups_out_in_turn():
    x = torch.arange(6.0).reshape(1, 6, 1, 1)

    assert ChannelShuffle(6, groups=2)(x).flatten().tolist() == [0, 3, 1, 4, 2, 5]
    assert ChannelShuffle(6, groups=3)(x).flatten().tolist() == [0, 2, 4, 1, 3, 5]


def test_there_are_two_groups_where_none_are_given():
    assert torch.equal(ChannelShuffle(12)(X), ChannelShuffle(12, groups=2)(X))


@pytest.mark.parametrize("groups", [1, 2, 3, 4, 6, 12])
def test_every_channel_comes_out_once_and_at_the_place_of_the_transposed_table(groups):
    y = ChannelShuffle(12, groups=groups)(X)

    places = [int((y == X[:, c : c + 1]).all((0, 2, 3)).nonzero()) for c in range(12)]
    assert sorted(places) == list(range(12))
    assert places == [c % (12 // groups) * groups + c // (12 // groups) for c in range(12)]


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("groups", [1, 2, 3, 4, 6, 12])
def test_a_shuffle_is_torchs_and_is_undone_by_the_shuffle_with_the_other_factor(groups, memory_format):
    x = X.contiguous(memory_format=memory_format)
    shuffled = ChannelShuffle(12, groups=groups)(x)

    assert torch.equal(shuffled, nn.ChannelShuffle(groups)(x))
    assert torch.equal(ChannelShuffle(12, groups=12 // groups)(shuffled), x)


@pytest.mark.parametrize("groups", [1, 12])
def test_a_shuffle_of_one_group_or_of_single_channels_changes_nothing(groups):
    assert torch.equal(ChannelShuffle(12, groups=groups)(X), X)


def test_between_grouped_convolutions_every_group_reaches_every_other():
    x = torch.zeros(1, 16, 3, 3)
    x[:, 0] = 1
    first, second = (GroupedConvolution(16, 16, 3, groups=4) for _ in range(2))

    assert second(first(x)).flatten(2).any(2).sum() == 4
    assert second(ChannelShuffle(16, groups=4)(first(x))).flatten(2).any(2).sum() == 16


def test_a_shuffle_has_no_weights_and_passes_gradients_back_in_order():
    module = ChannelShuffle(12, groups=3)
    x = X.clone().requires_grad_()
    module(x).backward(module(X))

    assert list(module.parameters()) == []
    assert torch.equal(x.grad, X)


@pytest.mark.parametrize("groups", [0, 5])
def test_groups_that_do_not_divide_the_channels_are_refused_with_those_that_do(groups):
    message = f"shuffle: groups={groups} does not divide 12 channels; 1, 2, 3, 4, 6, 12 would fit"
    with pytest.raises(ValueError, match=message):
        ChannelShuffle(12, groups=groups)
