"""The network of selective kernels: counts, what is selective in a block, and what its relatives share."""

import pytest
import torch
from torch import nn

from ablate import cost
from blocks.absence import Nothing
from blocks.activation import GELU
from blocks.attention.selective_kernel import SelectiveKernel
from blocks.attention.squeeze_excite import SqueezeExcite
from blocks.downsampling import AveragePool, Strided
from blocks.networks.resnext import ResNeXt
from blocks.networks.sknet import SKNet
from blocks.normalization import LayerNorm
from blocks.shortcut import NoShortcut

SPLIT_BASIC = {"reduction": 8, "least": 16, "split": True}
SPLIT_BOTTLENECK = {"cardinality": 1, "group_width": 64, "least": 8, "split": True}


def selective(network):
    return [module for module in network.modules() if isinstance(module, SelectiveKernel)]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"depth": 50}, 27_479_784),  # the paper: 27.5M
        ({"depth": 50, **SPLIT_BOTTLENECK}, 25_803_160),
        ({"depth": 18, **SPLIT_BASIC}, 11_958_056),
    ],
    ids=["paper", "split", "split-basic"],
)
def test_parameters_are_as_many_as_in_the_published_networks(options, expected):
    with torch.device("meta"):
        assert cost.parameters(SKNet(3, 1000, family="imagenet", **options)) == expected


def test_a_block_is_a_resnext_block_whose_middle_is_a_selective_kernel():
    torch.manual_seed(0)
    network, x = SKNet(1, 5, depth=11, attention=SqueezeExcite).eval(), torch.randn(2, 1, 16, 12)
    y = network.stem.norm(network.stem.conv(x)).relu()
    for stage in network.stages:
        for block in stage:
            residual = block.conv2(block.norm1(block.conv1(y)).relu())
            residual = block.attention(block.norm3(block.conv3(residual)))
            y = (residual + block.shortcut(y)).relu()

    torch.testing.assert_close(network(x), network.head(y.mean((2, 3))))


def test_everything_but_the_middle_has_the_names_and_shapes_of_the_resnext():
    def outside(network):
        state = network.state_dict()
        return {n: t.shape for n, t in state.items() if not {"conv2", "mix2", "norm2", "act2"} & set(n.split("."))}

    assert outside(SKNet(3, 10)) == outside(ResNeXt(3, 10))


def test_the_options_reach_every_selective_kernel():
    kernels = selective(
        SKNet(1, 5, depth=11, branches=3, cardinality=2, group_width=6, reduction=2, least=7, split=True)
    )

    assert [len(kernel.branches) for kernel in kernels] == [3, 3, 3]
    assert [kernel.branches[0].conv.groups for kernel in kernels] == [2, 2, 2]
    assert [kernel.branches[0].conv.in_channels for kernel in kernels] == [4, 8, 16]
    assert [kernel.reduce.out_features for kernel in kernels] == [7, 12, 24]


def test_in_blocks_of_two_convolutions_the_first_is_selective_and_has_no_groups():
    network = SKNet(1, 5, family="imagenet", depth=10, width=8)
    first, opening = network.stages[0][0], network.stages[1][0]

    assert isinstance(first.conv1, SelectiveKernel)
    assert isinstance(opening.conv1, Strided)
    assert isinstance(opening.conv1.conv, SelectiveKernel)
    assert {kernel.branches[0].conv.groups for kernel in selective(network)} == {1}
    assert (first.conv2.groups, first.conv2.kernel_size) == (1, (3, 3))


@pytest.mark.parametrize(("family", "depth", "convolution"), [("cifar", 11, "conv2"), ("imagenet", 10, "conv1")])
def test_slots_act_outside_the_selective_kernels(family, depth, convolution):
    seen = []
    network = SKNet(
        1, 5, family=family, depth=depth, width=8, position="inside", norm=LayerNorm, activation=GELU,
        attention=lambda c: seen.append(c) or Nothing(c), downsample=AveragePool,
    )  # fmt: skip
    kernels = selective(network)
    within = {module for kernel in kernels for module in kernel.modules()}
    outside = [module for module in network.modules() if module not in within]

    assert seen == [kernel.select.out_features // 2 for kernel in kernels]
    assert not any(isinstance(module, nn.ReLU | nn.BatchNorm2d) for module in outside)
    assert not any(isinstance(module, LayerNorm | GELU) for module in within)
    assert [name for name, module in network.named_modules() if isinstance(module, AveragePool)] == [
        f"stages.{i}.0.{convolution}" for i in range(1, len(network.stages))
    ]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"depth": 18}, "sknet: depth=18 is not 3·3·n \\+ 2, n blocks in each of 3 stages; 11 or 20 would fit"),
        (
            {"family": "imagenet", "depth": 20},
            "is not one of family 'imagenet'; 10, 14, 18, 26, 34, 50, 101, 152 would",
        ),
        (
            {"family": "imagenet", "depth": 18, "cardinality": 32},
            "sknet: blocks of depth=18 have no groups, so neither cardinality nor group_width; 14, 26, 50, 101, 152 have",
        ),
        ({"family": "imagenet", "depth": 18, "group_width": 4}, "blocks of depth=18 have no groups"),
        ({"cardinality": 0}, "sknet: cardinality=0 is too small; 1 or more would fit"),
        ({"group_width": 0}, "sknet: group_width=0 is too small; 1 or more would fit"),
        ({"branches": 1}, "sk: branches=1 is too small; 2 or more would fit"),
        ({"position": "front"}, "sknet: unknown position: 'front'"),
        ({"position": "identity", "shortcut": NoShortcut}, "position='identity' has nothing to act on"),
    ],
)
def test_numbers_that_do_not_fit_are_refused_with_those_that_would(options, message):
    with pytest.raises(ValueError, match=message):
        SKNet(3, 10, **options)


TIMM = {
    "paper": ("Bottleneck", {"rd_divisor": 32, "split_input": False}, {"cardinality": 32, "base_width": 4}),
    "split": ("Bottleneck", {"split_input": True}, {}),
    "split-basic": ("Basic", {"rd_ratio": 1 / 8, "rd_divisor": 16, "split_input": True}, {}),
}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("paper", {"depth": 14}),
        ("split", {"depth": 14, **SPLIT_BOTTLENECK}),
        ("split-basic", {"depth": 10, **SPLIT_BASIC}),
    ],
)
def test_it_computes_what_timm_computes(name, options, timm, renamed, assert_twins):
    kind, kernels, groups = TIMM[name]
    block = getattr(timm.models.sknet, f"SelectiveKernel{kind}")
    theirs = timm.models.resnet.ResNet(
        block, (1, 1, 1, 1), num_classes=5, block_args={"sk_kwargs": kernels}, zero_init_last=False, **groups
    )
    ours = SKNet(3, 5, family="imagenet", **options)
    at = {"Bottleneck": "conv2", "Basic": "conv1"}[kind]
    rename = renamed(
        (r"^conv1\.", "stem.conv."), (r"^bn1\.", "stem.norm."), (r"^fc\.", "head."),
        (r"^layer(\d)", lambda match: f"stages.{int(match[1]) - 1}"),
        (r"^(stages\.[1-3]\.0\.)" + at, rf"\1{at}.conv"),
        (r"paths", "branches"), (r"attn\.fc_", ""), (r"attn\.bn", "norm"),
        (r"^(stages\.\d\.\d\.)conv(\d)\.conv\.weight", r"\1conv\2.weight"),
        (r"^(stages\.\d\.\d\.)conv(\d)\.bn", r"\1norm\2"), (r"\.bn\.", ".norm."),
        (r"downsample\.0", "shortcut.conv"), (r"downsample\.1", "shortcut.norm"),
    )  # fmt: skip

    def translate(state):
        return {
            n: t.flatten(1) if n.endswith(("reduce.weight", "select.weight")) else t for n, t in rename(state).items()
        }

    x = torch.randn(3, 3, 48, 33, generator=torch.Generator().manual_seed(0))
    assert_twins(ours, theirs, x, translate=translate)
