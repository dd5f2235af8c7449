"""ShuffleNet V2: its twin in torchvision, what differs from it, and what each slot touches."""

from functools import partial

import pytest
import torch
from torch import nn

from blocks.absence import Nothing
from blocks.attention import SqueezeExcite
from blocks.convolution import DenseConvolution, DepthwiseConvolution
from blocks.mixing import ChannelShuffle
from blocks.networks.shufflenet_v2 import ShuffleNetV2
from blocks.normalization import LayerNorm

BRANCH = (
    ("branch2.0", "branch.reduce"), ("branch2.1", "branch.norm1"), ("branch2.3", "branch.conv"),
    ("branch2.4", "branch.norm2"), ("branch2.5", "branch.expand"), ("branch2.6", "branch.norm3"),
    ("branch1.0", "shortcut.conv"), ("branch1.1", "shortcut.norm1"), ("branch1.2", "shortcut.project"),
    ("branch1.3", "shortcut.norm2"),
)  # fmt: skip
ENDS = (
    ("conv1.0", "stem.conv"), ("conv1.1", "stem.norm"), ("conv5.0", "last.conv"), ("conv5.1", "last.norm"),
    ("^fc", "head"), ("stage2", "stages.0"), ("stage3", "stages.1"), ("stage4", "stages.2"),
)  # fmt: skip


def small(**options):
    return ShuffleNetV2(3, 5, **{"depths": (2, 2), "last": 32, **options})


def count(module):
    return sum(parameter.numel() for parameter in module.parameters())


def units(network):
    return [unit for stage in network.stages for unit in stage]


@pytest.mark.slow
@pytest.mark.parametrize("stem", ["small", "imagenet"])
def test_the_half_wide_network_equals_torchvisions_but_for_the_bias_of_the_classifier(
    torchvision, assert_twins, renamed, stem
):
    theirs = torchvision.models.ShuffleNetV2([2, 3, 1], [24, 48, 96, 192, 40], num_classes=5)
    theirs.fc = nn.Linear(40, 5, bias=False)
    if stem == "small":
        theirs.conv1[0].stride, theirs.maxpool = (1, 1), nn.Identity()
    ours = ShuffleNetV2(3, 5, depths=(2, 3, 1), last=40, stem=stem)

    assert_twins(ours, theirs, torch.randn(3, 3, 33, 30), translate=renamed(*ENDS, *BRANCH))


@pytest.mark.slow
@pytest.mark.parametrize("stage", [1, 2])
def test_all_stages_but_the_first_equal_torchvisions_whatever_the_width(torchvision, assert_twins, renamed, stage):
    theirs = torchvision.models.ShuffleNetV2([1, 2, 2], [24, 116, 232, 464, 40])
    ours = ShuffleNetV2(3, 5, width=116, depths=(1, 2, 2), last=40).stages[stage]
    x = torch.randn(2, 116 * stage, 6, 5)

    assert_twins(ours, getattr(theirs, f"stage{stage + 2}"), x, translate=renamed(*BRANCH))


def test_parameters_are_as_many_as_in_the_authors_code():
    with torch.device("meta"):
        full = partial(ShuffleNetV2, 3, 1000, stem="imagenet")
        assert count(full()) == 1_365_792
        assert count(full(width=116)) == 2_278_760
        assert count(full(width=176)) == 3_506_720  # the paper: 3.5 million
        assert count(full(width=244, last=2048)) == 7_402_600  # the paper: 7.4 million
        assert count(ShuffleNetV2(3, 10)) == 352_032


@pytest.mark.slow
def test_the_first_unit_and_the_bias_are_all_that_torchvision_counts_otherwise(torchvision):
    with torch.device("meta"):
        theirs = torchvision.models.shufflenet_v2_x1_0()
        ours = ShuffleNetV2(3, 1000, width=116, stem="imagenet")

    assert count(theirs) == 2_278_604
    assert count(ours) - count(theirs) == count(ours.stages[0][0]) - count(theirs.stage2[0]) - 1000


@pytest.mark.parametrize("mix", [ChannelShuffle, Nothing])
def test_the_output_is_what_the_paper_draws(mix):
    torch.manual_seed(0)
    network = small(width=32, mix=mix, attention=partial(SqueezeExcite, reduction=4), norm=LayerNorm).eval()

    def branch(layers, y):
        y = layers.norm1(layers.reduce(y)).clamp(min=0)
        y = layers.norm2(layers.conv(y))
        return layers.attention(layers.norm3(layers.expand(y)).clamp(min=0))

    x = torch.randn(2, 3, 12, 9)
    y = network.stem.norm(network.stem.conv(x)).clamp(min=0)
    for stage in network.stages:
        for i, unit in enumerate(stage):
            if i == 0:
                left = unit.shortcut.norm1(unit.shortcut.conv(y))
                left = unit.shortcut.norm2(unit.shortcut.project(left)).clamp(min=0)
                right = branch(unit.branch, y)
            else:
                half = y.shape[1] // 2
                left, right = y[:, :half], branch(unit.branch, y[:, half:])
            y = torch.cat([left, right], 1)
            if mix is ChannelShuffle:
                y = torch.stack(y.split(y.shape[1] // 2, 1), 2).flatten(1, 2)  # one of each half in turn
    y = network.last.norm(network.last.conv(y)).clamp(min=0)
    expected = y.mean((2, 3)) @ network.head.weight.T

    torch.testing.assert_close(network(x), expected)


def test_without_a_shuffle_half_of_the_channels_pass_a_stage_unchanged():
    halving, *keeping = small(mix=Nothing, depths=(3,)).stages[0].eval()
    y = halving(torch.randn(2, 24, 8, 8))
    out = nn.Sequential(*keeping)(y)

    assert torch.equal(out[:, :24], y[:, :24])
    assert not torch.equal(out[:, 24:], y[:, 24:])


def test_the_first_branch_keeps_the_channels_of_its_input_and_the_second_makes_the_others():
    first, second = (stage[0] for stage in small(width=116).stages)

    assert (first.shortcut.project.out_channels, first.branch.expand.out_channels) == (24, 92)
    assert (first.branch.conv.in_channels, second.branch.conv.in_channels) == (58, 116)
    assert (second.shortcut.project.out_channels, second.branch.expand.out_channels) == (116, 116)


def test_conv_and_kernel_act_on_both_branches_and_on_nothing_else():
    network = small(conv=DenseConvolution, kernel=5)
    convs = [unit.branch.conv for unit in units(network)] + [stage[0].shortcut.conv for stage in network.stages]

    assert {(conv.kernel_size, conv.groups) for conv in convs} == {((5, 5), 1)}
    assert network.stem.conv.kernel_size == (3, 3)
    assert network.last.conv.kernel_size == (1, 1)
    assert isinstance(units(small())[0].shortcut.conv, DepthwiseConvolution)


@pytest.mark.parametrize(("stem", "sides"), [("small", [32, 16, 8, 4]), ("imagenet", [8, 4, 2, 1])])
def test_the_stem_says_how_large_the_first_map_is_and_each_stage_halves_it(stem, sides):
    network = ShuffleNetV2(3, 5, stem=stem, depths=(1, 1, 1)).eval()
    maps = [network.stem(torch.randn(1, 3, 32, 32))]
    for stage in network.stages:
        maps.append(stage(maps[-1]))

    assert [y.shape[-1] for y in maps] == sides


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"width": 24}, "shufflenet-v2: width=24 is too small; 26 or more would fit"),
        ({"width": 49}, "shufflenet-v2: width=49 has no halves; 48 or 50 would fit"),
        ({"width": (48, 97)}, "shufflenet-v2: width=97 has no halves; 96 or 98 would fit"),
        ({"width": (48, 48)}, "shufflenet-v2: width=48 is too small; 50 or more would fit"),
        ({"last": 0}, "shufflenet-v2: last=0 is too small; 1 or more would fit"),
        ({"depths": ()}, "shufflenet-v2: stages in depths=0 is too small; 1 or more would fit"),
        ({"depths": (2, 0)}, "shufflenet-v2: depths=0 is too small; 1 or more would fit"),
        ({"kernel": 4}, "depthwise: kernel=4 has no middle pixel; 3 or 5 would fit"),
        ({"stem": "smal"}, "shufflenet-v2: unknown stem: 'smal'; did you mean 'small'"),
    ],
)
def test_numbers_and_words_that_do_not_fit_are_refused_with_those_that_would(options, message):
    with pytest.raises(ValueError, match=message):
        small(**options)
