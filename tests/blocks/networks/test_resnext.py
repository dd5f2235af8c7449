"""The grouped residual network: counts, groups, and what it has in common with the ungrouped one."""

from functools import partial

import pytest
import torch
from torch import nn

from blocks.absence import Nothing
from blocks.attention.squeeze_excite import SqueezeExcite
from blocks.convolution import GroupedConvolution
from blocks.downsampling import MaxPool
from blocks.mixing import ChannelShuffle
from blocks.networks.resnet import ResNet
from blocks.networks.resnext import ResNeXt
from blocks.shortcut import NoShortcut


def count(module):
    return sum(parameter.numel() for parameter in module.parameters())


def test_parameters_are_as_many_as_in_the_published_networks():
    with torch.device("meta"):
        assert count(ResNeXt(3, 1000, family="imagenet", depth=50)) == 25_028_904
        assert count(ResNeXt(3, 1000, family="imagenet", depth=101, group_width=8)) == 88_791_336
        # The paper's table says 34.4M and 68.1M.
        assert count(ResNeXt(3, 10, depth=29, width=64, group_width=64)) // 100_000 == 344
        assert count(ResNeXt(3, 10, depth=29, width=64, cardinality=16, group_width=64)) // 100_000 == 681


def test_a_bottleneck_is_as_large_as_computed_by_hand():
    with torch.device("meta"):
        block = ResNeXt(3, 1000, family="imagenet", depth=26).stages[0][1]

    convolutions = 256 * 128 + 128 * (128 // 32) * 9 + 128 * 256
    assert count(block) == convolutions + 2 * (128 + 128 + 256) == 71_168


def test_every_kxk_convolution_has_the_groups_and_each_stage_doubles_their_width():
    network = ResNeXt(3, 10, depth=11, cardinality=4, group_width=3, kernel=5)
    grouped = [module for module in network.modules() if isinstance(module, GroupedConvolution)]

    assert [(m.groups, m.in_channels, m.out_channels, m.kernel_size) for m in grouped] == [
        (4, 12, 12, (5, 5)), (4, 24, 24, (5, 5)), (4, 48, 48, (5, 5)),
    ]  # fmt: skip
    assert all(m.groups == 1 for m in network.modules() if isinstance(m, nn.Conv2d) and m not in grouped)


def test_with_one_group_it_is_the_resnet_of_the_same_width():
    torch.manual_seed(0)
    grouped = ResNeXt(1, 5, family="imagenet", depth=14, width=8, cardinality=1, group_width=8).eval()
    dense = ResNet(1, 5, family="imagenet", depth=14, width=8).eval()
    dense.load_state_dict(grouped.state_dict())
    x = torch.randn(2, 1, 40, 40)

    assert torch.equal(grouped(x), dense(x))


def test_slots_act_where_those_of_the_resnet_do():
    seen = []
    network = ResNeXt(
        1, 5, depth=11, cardinality=2, position="inside", attention=lambda c: seen.append(c) or Nothing(c),
        mix=partial(ChannelShuffle, groups=2), downsample=MaxPool,
    )  # fmt: skip

    assert seen == [8, 16, 32]
    assert [name for name, module in network.named_modules() if isinstance(module, MaxPool)] == [
        "stages.1.0.conv2", "stages.2.0.conv2",
    ]  # fmt: skip
    assert sum(isinstance(module, ChannelShuffle) for module in network.modules()) == 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"depth": 26}, "resnext: depth=26 is not 3·3·n \\+ 2, n blocks in each of 3 stages; 20 or 29 would fit"),
        (
            {"family": "imagenet", "depth": 18},
            "depth=18 is not one of family 'imagenet'; 14, 26, 50, 101, 152 would fit",
        ),
        ({"cardinality": 0}, "resnext: cardinality=0 is too small; 1 or more would fit"),
        ({"group_width": 0}, "resnext: group_width=0 is too small; 1 or more would fit"),
        ({"width": 0}, "resnext: width=0 is too small; 1 or more would fit"),
        ({"position": "front"}, "resnext: unknown position: 'front'"),
        ({"stem": "large"}, "resnext: unknown stem: 'large'"),
        ({"position": "identity", "shortcut": NoShortcut}, "position='identity' has nothing to act on"),
    ],
)
def test_numbers_that_do_not_fit_are_refused_with_those_that_would(options, message):
    with pytest.raises(ValueError, match=message):
        ResNeXt(3, 10, **options)


@pytest.mark.slow
def test_a_resnext_with_gates_computes_what_timm_computes(timm, renamed, assert_twins):
    resnet = timm.models.resnet
    theirs = resnet.ResNet(
        resnet.Bottleneck, (1, 1, 1, 1), num_classes=5, cardinality=32, base_width=4, block_args={"attn_layer": "se"}
    )
    ours = ResNeXt(3, 5, family="imagenet", depth=14, attention=partial(SqueezeExcite, bias=True))
    rename = renamed(
        (r"^conv1\.", "stem.conv."), (r"^bn1\.", "stem.norm."), (r"^fc\.", "head."),
        (r"^layer(\d)", lambda match: f"stages.{int(match[1]) - 1}"), (r"\.bn(\d)", r".norm\1"),
        (r"^(stages\.[1-3]\.0\.conv2)\.", r"\1.conv."),
        (r"downsample\.0", "shortcut.conv"), (r"downsample\.1", "shortcut.norm"),
        (r"\.se\.fc1", ".attention.squeeze"), (r"\.se\.fc2", ".attention.excite"),
    )  # fmt: skip

    def translate(state):
        moved = rename(state)
        return {n: t.flatten(1) if "attention" in n and n.endswith("weight") else t for n, t in moved.items()}

    x = torch.randn(3, 3, 48, 33, generator=torch.Generator().manual_seed(0))
    assert_twins(ours, theirs, x, translate=translate)
