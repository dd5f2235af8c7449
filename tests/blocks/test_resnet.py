"""The residual network: counts, names that do not move, and what each slot touches."""

import itertools
from functools import partial

import pytest
import torch
from torch import nn

from blocks.absence import Nothing
from blocks.attention import CBAM, SqueezeExcite
from blocks.convolution import DenseConvolution, DepthwiseConvolution, GroupedConvolution
from blocks.mixing import ChannelShuffle, PointwiseConvolution
from blocks.networks import ResNet
from blocks.normalization import BatchNorm, GroupNorm, InstanceNorm, LayerNorm

FILLINGS = {
    "attention": [Nothing, SqueezeExcite],
    "norm": [BatchNorm, LayerNorm, Nothing, partial(GroupNorm, groups=8), partial(InstanceNorm, affine=True)],
    "conv": [DenseConvolution, partial(GroupedConvolution, groups=4), DepthwiseConvolution],
    "mix": [Nothing, PointwiseConvolution, partial(ChannelShuffle, groups=4)],
    "kernel": [3, 5],
}
one_change = pytest.mark.parametrize(
    ("slot", "filling"), [(slot, filling) for slot, fillings in FILLINGS.items() for filling in fillings]
)


def small(**slots):
    return ResNet(1, 10, depth=8, **slots)


def count(module):
    return sum(parameter.numel() for parameter in module.parameters())


def shapes(module):
    return {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}


def test_parameters_are_as_many_as_in_the_networks_for_cifar():
    assert count(ResNet(3, 10)) == 272_474
    assert count(ResNet(3, 10, depth=56)) == 855_770
    assert count(ResNet(3, 10, attention=SqueezeExcite)) == 274_490
    assert count(ResNet(3, 10, depth=56, attention=SqueezeExcite)) == 861_818


def test_blocks_are_as_large_as_computed_by_hand():
    network = ResNet(3, 10, depth=14, width=64, stages=3)

    assert count(network.stages[0][0]) == 73_984
    assert count(network.stages[1][0]) == 230_144


def test_the_output_is_what_the_paper_writes():
    torch.manual_seed(0)
    network = small(attention=partial(CBAM, reduction=4), mix=PointwiseConvolution, norm=LayerNorm).eval()
    x = torch.randn(2, 1, 12, 12)
    y = network.stem.norm(network.stem.conv(x)).clamp(min=0)
    for stage in network.stages:
        for block in stage:
            residual = block.norm1(block.mix1(block.conv1(y))).clamp(min=0)
            residual = block.attention(block.norm2(block.mix2(block.conv2(residual))))
            y = (residual + block.shortcut(y)).clamp(min=0)
    expected = y.mean((2, 3)) @ network.head.weight.T + network.head.bias

    torch.testing.assert_close(network(x), expected)


@one_change
def test_every_filling_trains_at_odd_sizes_and_all_parameters_get_gradients(slot, filling):
    torch.manual_seed(0)
    network = small(**{slot: filling})

    nn.functional.cross_entropy(network(torch.randn(4, 1, 11, 9)), torch.tensor([0, 1, 2, 3])).backward()

    assert [n for n, p in network.named_parameters() if p.grad is None or not p.grad.isfinite().all()] == []


@one_change
def test_filling_one_slot_leaves_the_names_and_shapes_of_everything_else(slot, filling):
    reference, changed = shapes(small()), shapes(small(**{slot: filling}))
    touched = {"conv": ("conv1", "conv2"), "kernel": ("conv1", "conv2"), "mix": ("mix1", "mix2")}
    touched |= {"attention": ("attention",), "norm": ("norm", "norm1", "norm2")}

    differing = {name for name in reference.keys() | changed.keys() if reference.get(name) != changed.get(name)}

    assert [name for name in differing if name.split(".")[-2] not in touched[slot] and ".attention." not in name] == []
    assert not any(name.startswith("stem.conv") or "shortcut.conv" in name for name in differing)


@one_change
def test_the_tree_of_modules_has_the_same_names_whatever_fills_a_slot(slot, filling):
    def outer(network):
        return {name for name, _ in network.named_modules() if ".attention." not in name}

    assert outer(small(**{slot: filling})) == outer(small())


def test_stem_and_shortcuts_stay_dense_and_have_the_norm_of_the_network():
    network = small(conv=DepthwiseConvolution, kernel=5, norm=LayerNorm)

    assert isinstance(network.stem.conv, DenseConvolution)
    assert network.stem.conv.kernel_size == (3, 3)
    assert isinstance(network.stem.norm, LayerNorm)
    assert network.stages[1][0].shortcut.conv.groups == 1
    assert network.stages[1][0].shortcut.conv.kernel_size == (1, 1)
    assert isinstance(network.stages[1][0].shortcut.norm, LayerNorm)
    blocks = [block for stage in network.stages for block in stage]
    assert {conv.kernel_size for block in blocks for conv in (block.conv1, block.conv2)} == {(5, 5)}


def test_each_stage_after_the_first_halves_the_map_and_doubles_the_channels():
    x = small().stem(torch.randn(2, 1, 16, 12))
    sizes = []
    for stage in small().stages:
        x = stage(x)
        sizes.append(tuple(x.shape[1:]))

    assert sizes == [(16, 16, 12), (32, 8, 6), (64, 4, 3)]


@pytest.mark.parametrize(
    ("conv", "mix", "norm"), list(itertools.product(*(FILLINGS[s] for s in ("conv", "mix", "norm"))))
)
def test_the_layout_in_memory_changes_nothing(conv, mix, norm):
    torch.manual_seed(0)
    network = small(conv=conv, mix=mix, norm=norm).eval()
    x = torch.randn(2, 1, 8, 8)
    expected = network(x)

    last = network.to(memory_format=torch.channels_last)(x.contiguous(memory_format=torch.channels_last))

    torch.testing.assert_close(last, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"depth": 21}, "resnet: depth=21 is not 2·3·n \\+ 2, n blocks in each of 3 stages; 20 or 26 would fit"),
        ({"depth": 2}, "8 or 14 would fit"),
        ({"depth": 20, "stages": 4}, "18 or 26 would fit"),
        ({"stages": 0}, "resnet: stages=0 is too small; 1 or more would fit"),
        ({"width": 0}, "resnet: width=0 is too small; 1 or more would fit"),
        ({"kernel": 4}, "dense: kernel=4 has no middle pixel; 3 or 5 would fit"),
    ],
)
def test_numbers_that_do_not_fit_are_refused_with_those_that_would(options, message):
    with pytest.raises(ValueError, match=message):
        ResNet(3, 10, **options)
