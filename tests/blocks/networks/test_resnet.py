"""The residual network: counts, names that do not move, and what each slot touches."""

import importlib
import itertools
import re
from functools import partial

import pytest
import torch
from torch import nn

from blocks.absence import Nothing
from blocks.activation import GELU, PReLU, ReLU, SiLU
from blocks.attention.cbam import CBAM
from blocks.attention.efficient_channel import EfficientChannel
from blocks.attention.squeeze_excite import SqueezeExcite
from blocks.convolution import DenseConvolution, DepthwiseConvolution, GroupedConvolution
from blocks.downsampling import AveragePool, BlurPool, MaxPool, Strided
from blocks.mixing import ChannelShuffle, PointwiseConvolution
from blocks.networks.resnet import ResNet
from blocks.normalization import BatchNorm, GroupNorm, InstanceNorm, LayerNorm
from blocks.pooling import AverageMaxPooling, AveragePooling, MaxPooling
from blocks.shortcut import AveragePoolShortcut, IdentityShortcut, NoShortcut, ProjectionShortcut, ZeroPadShortcut

FILLINGS = {
    "attention": [Nothing, SqueezeExcite],
    "norm": [BatchNorm, LayerNorm, Nothing, partial(GroupNorm, groups=8), partial(InstanceNorm, affine=True)],
    "conv": [DenseConvolution, partial(GroupedConvolution, groups=4), DepthwiseConvolution],
    "mix": [Nothing, PointwiseConvolution, partial(ChannelShuffle, groups=4)],
    "kernel": [3, 5],
    "activation": [ReLU, GELU, PReLU],
    "shortcut": [ProjectionShortcut, ZeroPadShortcut, AveragePoolShortcut, IdentityShortcut, NoShortcut],
    "downsample": [Strided, MaxPool, AveragePool, BlurPool],
    "pooling": [AveragePooling, MaxPooling],
}
POSITIONS = ["standard", "pre", "post", "identity", "inside"]
one_change = pytest.mark.parametrize(
    ("slot", "filling"), [(slot, filling) for slot, fillings in FILLINGS.items() for filling in fillings]
)


def small(**slots):
    return ResNet(1, 10, depth=8, **slots)


def large(depth, **slots):
    return ResNet(3, 1000, family="imagenet", depth=depth, **slots)


def count(module):
    return sum(parameter.numel() for parameter in module.parameters())


def shapes(module):
    return {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}


def test_parameters_are_as_many_as_in_the_networks_for_cifar():
    assert count(ResNet(3, 10)) == 272_474
    assert count(ResNet(3, 10, depth=56)) == 855_770
    assert count(ResNet(3, 10, attention=SqueezeExcite)) == 274_490
    assert count(ResNet(3, 10, depth=56, attention=SqueezeExcite)) == 861_818


@pytest.mark.parametrize(
    ("depth", "expected"),
    [(18, 11_689_512), (34, 21_797_672), (50, 25_557_032), (101, 44_549_160), (152, 60_192_808)],
)
def test_parameters_are_as_many_as_in_the_networks_for_imagenet(depth, expected):
    with torch.device("meta"):
        assert count(large(depth)) == expected


def test_attention_adds_the_parameters_that_its_papers_state():
    kernels = {256: 3, 512: 5, 1024: 5, 2048: 7}
    with torch.device("meta"):
        assert count(large(50, attention=SqueezeExcite)) == 28_071_976
        assert count(large(50, attention=CBAM)) == 28_089_624
        assert count(large(50, attention=lambda c: EfficientChannel(c, kernel=kernels[c]))) == 25_557_112


def test_blocks_are_as_large_as_computed_by_hand():
    basic = ResNet(3, 10, depth=14, width=64, stages=3)
    with torch.device("meta"):
        bottlenecks = large(26)

    assert count(basic.stages[0][0]) == 73_984
    assert count(basic.stages[1][0]) == 230_144
    assert count(bottlenecks.stages[0][0]) == 75_008
    assert count(bottlenecks.stages[0][1]) == 70_400


def test_shortcuts_cost_what_the_paper_says():
    projections, norms = 16 * 32 + 32 * 64, 2 * 32 + 2 * 64
    plain = count(small(shortcut=NoShortcut))

    assert count(small(shortcut=ZeroPadShortcut)) == plain
    assert count(small()) == plain + projections + norms
    assert count(small(shortcut=AveragePoolShortcut)) == count(small())
    # Option C projects in the one block of the first stage, too.
    assert count(small(shortcut=partial(ProjectionShortcut, everywhere=True))) == count(small()) + 16 * 16 + 2 * 16


def attend_at(position, block):
    """Return what acts at each position of a block: its attention at one, nothing at the others."""
    return {here: (block.attention if here == position else nn.Identity()) for here in POSITIONS}


@pytest.mark.parametrize("position", POSITIONS)
def test_basic_blocks_compute_what_the_papers_write(position):
    torch.manual_seed(0)
    network = small(
        attention=partial(CBAM, reduction=4), mix=PointwiseConvolution, norm=LayerNorm, position=position
    ).eval()
    x = torch.randn(2, 1, 12, 12)
    y = network.stem.norm(network.stem.conv(x)).clamp(min=0)
    for stage in network.stages:
        for block in stage:
            attend = attend_at(position, block)
            residual = block.norm1(block.mix1(block.conv1(attend["pre"](y)))).clamp(min=0)
            residual = attend["standard"](block.norm2(block.mix2(block.conv2(attend["inside"](residual)))))
            y = attend["post"]((residual + attend["identity"](block.shortcut(y))).clamp(min=0))
    expected = y.mean((2, 3)) @ network.head.weight.T + network.head.bias

    torch.testing.assert_close(network(x), expected)


@pytest.mark.parametrize("position", POSITIONS)
def test_bottlenecks_compute_what_the_papers_write(position):
    torch.manual_seed(0)
    network = ResNet(
        2, 5, family="imagenet", depth=14, width=8, attention=partial(SqueezeExcite, reduction=4), position=position,
        mix=PointwiseConvolution, kernel=5,
    ).eval()  # fmt: skip
    x = torch.randn(2, 2, 64, 40)
    y = network.stem.norm(network.stem.conv(x)).clamp(min=0)
    y = nn.functional.max_pool2d(nn.functional.pad(y, (1, 1, 1, 1)), 3, 2)
    for stage in network.stages:
        for block in stage:
            attend = attend_at(position, block)
            residual = block.norm1(block.conv1(attend["pre"](y))).clamp(min=0)
            residual = attend["inside"](block.norm2(block.mix2(block.conv2(residual))).clamp(min=0))
            residual = attend["standard"](block.norm3(block.conv3(residual)))
            y = attend["post"]((residual + attend["identity"](block.shortcut(y))).clamp(min=0))
    expected = y.mean((2, 3)) @ network.head.weight.T + network.head.bias

    assert y.shape == (2, 256, 2, 2)
    torch.testing.assert_close(network(x), expected)


def test_without_shortcuts_the_network_is_plain():
    torch.manual_seed(0)
    network, x = small(shortcut=NoShortcut).eval(), torch.randn(2, 1, 8, 8)
    y = network.stem(x)
    for stage in network.stages:
        for block in stage:
            y = block.norm2(block.conv2(block.norm1(block.conv1(y)).relu())).relu()

    torch.testing.assert_close(network(x), network.head(y.mean((2, 3))))


@pytest.mark.parametrize(
    ("position", "in_basic_blocks", "in_bottlenecks"),
    [
        ("standard", [8, 16, 32], [32, 64, 128, 256]),
        ("post", [8, 16, 32], [32, 64, 128, 256]),
        ("identity", [8, 16, 32], [32, 64, 128, 256]),
        ("pre", [8, 8, 16], [8, 32, 64, 128]),
        ("inside", [8, 16, 32], [8, 16, 32, 64]),
    ],
)
def test_attention_gets_the_channels_of_its_position(position, in_basic_blocks, in_bottlenecks):
    def channels(**options):
        seen = []
        ResNet(3, 10, width=8, position=position, attention=lambda c: seen.append(c) or Nothing(c), **options)
        return seen

    assert channels(depth=8) == in_basic_blocks
    assert channels(family="imagenet", depth=14) == in_bottlenecks


def test_attention_has_the_same_name_in_every_position_and_nothing_else_moves():
    states = {position: shapes(small(attention=SqueezeExcite, position=position)) for position in POSITIONS}

    assert all(set(state) == set(states["standard"]) for state in states.values())
    assert states["standard"] == states["post"] == states["identity"] == states["inside"]
    differing = {name for name, shape in states["pre"].items() if states["standard"][name] != shape}
    assert differing == {f"stages.{i}.0.attention.{layer}.weight" for i in (1, 2) for layer in ("squeeze", "excite")}


@one_change
def test_every_filling_trains_at_odd_sizes_and_all_parameters_get_gradients(slot, filling):
    torch.manual_seed(0)
    network = small(**{slot: filling})

    nn.functional.cross_entropy(network(torch.randn(4, 1, 11, 9)), torch.tensor([0, 1, 2, 3])).backward()

    assert [n for n, p in network.named_parameters() if p.grad is None or not p.grad.isfinite().all()] == []


@one_change
def test_the_tree_of_modules_has_the_same_names_whatever_fills_a_slot(slot, filling):
    def outer(network):
        kept = (name for name, _ in network.named_modules())
        return {name for name in kept if not re.search(r"\.(attention|shortcut|conv1)\.", name)}

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
    convolutions = [*(block.conv2 for block in blocks), blocks[0].conv1, *(block.conv1.conv for block in blocks[1:])]
    assert {conv.kernel_size for conv in convolutions} == {(5, 5)}
    assert {type(conv) for conv in convolutions} == {DepthwiseConvolution}


def test_the_1x1_convolutions_of_a_bottleneck_stay_dense_and_its_stride_is_in_the_middle():
    block = ResNet(3, 10, family="imagenet", depth=14, width=8, conv=DepthwiseConvolution, kernel=5).stages[1][0]

    assert (block.conv1.groups, block.conv1.kernel_size, block.conv1.stride) == (1, (1, 1), (1, 1))
    assert (block.conv2.conv.groups, block.conv2.conv.kernel_size, block.conv2.conv.stride) == (16, (5, 5), (2, 2))
    assert (block.conv3.groups, block.conv3.kernel_size, block.conv3.stride) == (1, (1, 1), (1, 1))


def test_what_halves_the_map_stands_in_the_first_block_of_every_stage_but_the_first():
    def places(network):
        return [name for name, module in network.named_modules() if isinstance(module, MaxPool)]

    assert places(ResNet(1, 10, depth=14, downsample=MaxPool)) == [
        "stages.1.0.conv1",
        "stages.2.0.conv1",
    ]
    bottlenecks = ResNet(1, 10, family="imagenet", depth=26, width=8, downsample=MaxPool)
    assert places(bottlenecks) == ["stages.1.0.conv2", "stages.2.0.conv2", "stages.3.0.conv2"]


def test_no_relu_is_left_where_another_activation_is_chosen():
    for network in (small(activation=SiLU), large(14, width=8, activation=SiLU)):
        assert not any(isinstance(module, nn.ReLU) for module in network.modules())
        assert isinstance(network.stem.act, SiLU)


def test_each_activation_of_a_block_has_parameters_of_its_own():
    names = [name for name in small(activation=PReLU).state_dict() if "act" in name]

    assert [name for name in names if name.startswith(("stem", "stages.0"))] == [
        "stem.act.weight", "stages.0.0.act1.weight", "stages.0.0.act.weight",
    ]  # fmt: skip


def test_each_stage_after_the_first_halves_the_map_and_doubles_the_channels():
    x = small().stem(torch.randn(2, 1, 16, 12))
    sizes = []
    for stage in small().stages:
        x = stage(x)
        sizes.append(tuple(x.shape[1:]))

    assert sizes == [(16, 16, 12), (32, 8, 6), (64, 4, 3)]


def test_either_family_takes_either_stem():
    x = torch.randn(2, 1, 32, 24)
    cifar = ResNet(1, 10, depth=8, stem="imagenet")
    imagenet = ResNet(1, 10, family="imagenet", depth=10, width=8, stem="small")

    assert cifar.stem(x).shape == (2, 16, 8, 6)
    assert imagenet.stem(x).shape == (2, 8, 32, 24)
    assert shapes(ResNet(1, 10, depth=8, stem="small")) == shapes(ResNet(1, 10, depth=8))


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
        ({"family": "imagenet"}, "resnet: depth=20 is not one of family 'imagenet'; 10, 14, 18, 26, .*, 152 would fit"),
        ({"family": "imagenet", "depth": 18, "stages": 3}, "stages=3 is for family 'cifar'; .*'imagenet' always has 4"),
        ({"family": "image"}, "resnet: unknown family: 'image'; did you mean 'imagenet'"),
        ({"stem": "smal"}, "resnet: unknown stem: 'smal'; did you mean 'small'"),
        ({"position": "before"}, "resnet: unknown position: 'before'"),
        ({"position": "identity", "shortcut": NoShortcut}, "position='identity' has nothing to act on .* 16 to 16 "),
        (
            {"position": "identity", "shortcut": IdentityShortcut},
            "16 to 32 channels adds nothing; .*'projection' would",
        ),
    ],
)
def test_numbers_that_do_not_fit_are_refused_with_those_that_would(options, message):
    with pytest.raises(ValueError, match=message):
        ResNet(3, 10, **options)


def translated(strided, renamed):
    """Return a translation of the names of timm and torchvision; `strided` is the convolution that halves the map."""
    return renamed(
        (r"^conv1\.", "stem.conv."), (r"^bn1\.", "stem.norm."), (r"^fc\.", "head."),
        (r"^layer(\d)", lambda match: f"stages.{int(match[1]) - 1}"), (r"\.bn(\d)", r".norm\1"),
        (rf"^(stages\.[1-3]\.0\.{strided})\.", r"\1.conv."),
        (r"downsample\.0", "shortcut.conv"), (r"downsample\.1", "shortcut.norm"),
    )  # fmt: skip


twins = pytest.mark.parametrize(
    ("depth", "kind", "strided"), [(10, "BasicBlock", "conv1"), (14, "Bottleneck", "conv2")]
)


@pytest.mark.slow
@twins
def test_a_resnet_computes_what_torchvision_computes(depth, kind, strided, torchvision, renamed, assert_twins):
    module = importlib.import_module("torchvision.models.resnet")
    theirs = module.ResNet(getattr(module, kind), [1, 1, 1, 1], num_classes=5)
    ours = ResNet(3, 5, family="imagenet", depth=depth)
    x = torch.randn(3, 3, 48, 33, generator=torch.Generator().manual_seed(0))

    assert_twins(ours, theirs, x, translate=translated(strided, renamed))


@pytest.mark.slow
@twins
def test_shortcuts_of_resnet_d_gates_silu_and_mixed_pooling_compute_what_timm_computes(
    depth, kind, strided, timm, renamed, assert_twins
):
    resnet = timm.models.resnet
    theirs = resnet.ResNet(
        getattr(resnet, kind), (1, 1, 1, 1), num_classes=5, avg_down=True, act_layer=nn.SiLU, global_pool="avgmax",
        block_args={"attn_layer": "se"},
    )  # fmt: skip
    ours = ResNet(
        3, 5, family="imagenet", depth=depth, shortcut=AveragePoolShortcut, activation=SiLU,
        attention=lambda c: SqueezeExcite(c, reduction=min(16, c // 8), bias=True), pooling=AverageMaxPooling,
    )  # fmt: skip
    rename = renamed(
        (r"downsample\.1", "shortcut.conv"), (r"downsample\.2", "shortcut.norm"),
        (r"\.se\.fc1", ".attention.squeeze"), (r"\.se\.fc2", ".attention.excite"),
    )  # fmt: skip

    def translate(state):
        moved = translated(strided, renamed)(rename(state))
        return {n: t.flatten(1) if re.search(r"attention.*weight", n) else t for n, t in moved.items()}

    x = torch.randn(3, 3, 44, 37, generator=torch.Generator().manual_seed(0))
    assert_twins(ours, theirs, x, translate=translate)
