"""MobileNetV2: its twins, counts, and what each slot touches."""

from functools import partial

import pytest
import torch
from torch import nn

from blocks.activation import HardSwish
from blocks.attention import CoordinateAttention, SqueezeExcite
from blocks.convolution import DenseConvolution, DepthwiseConvolution, GroupedConvolution
from blocks.downsampling import MaxPool
from blocks.mixing import PointwiseConvolution
from blocks.networks.mobilenet_v2 import MobileNetV2
from blocks.normalization import LayerNorm
from blocks.shortcut import IdentityShortcut, ProjectionShortcut

DEPTHS = (1, 2, 2)
TABLE = [(1, 16, 1), (6, 24, 2), (6, 32, 2)]  # expansion, channels, blocks


def small(**options):
    return MobileNetV2(3, 5, **{"depths": DEPTHS, **options})


def count(module):
    return sum(parameter.numel() for parameter in module.parameters())


def blocks(network):
    return [block for stage in network.stages for block in stage]


def from_torchvision(state):
    """Rename; torchvision numbers all layers on, and the parts of a block."""
    places = [(i, j) for i, n in enumerate(DEPTHS) for j in range(n)]
    wide = {"0.0": "expand", "0.1": "norm1", "1.0": "conv", "1.1": "norm2", "2": "project", "3": "norm3"}
    narrow = {"0.0": "conv", "0.1": "norm2", "1": "project", "2": "norm3"}
    ends = {"0.0": "stem.conv", "0.1": "stem.norm"} | {
        f"{len(places) + 1}.{i}": f"last.{part}" for i, part in ((0, "conv"), (1, "norm"))
    }
    found = {}
    for name, tensor in state.items():
        kind, _, rest = name.partition(".")
        place, _, tail = rest.rpartition(".")
        if kind == "classifier":
            found[f"head.{tail}"] = tensor
        elif place in ends:
            found[f"{ends[place]}.{tail}"] = tensor
        else:
            number, _, part = place.partition(".conv.")
            stage, block = places[int(number) - 1]
            ours = (narrow if stage == 0 else wide)[part]
            found[f"stages.{stage}.{block}.residual.{ours}.{tail}"] = tensor
    return found


def with_strided_names(translate, ours):
    """Put the convolutions that a downsampling holds under its name."""
    known = ours.state_dict()

    def rename(state):
        return {
            name if name in known else name.replace(".conv.weight", ".conv.conv.weight"): tensor
            for name, tensor in translate(state).items()
        }

    return rename


@pytest.mark.slow
@pytest.mark.parametrize("width", [0.25, 0.35, 1.4])
@pytest.mark.parametrize("stem", ["small", "imagenet"])
def test_it_equals_torchvisions(torchvision, assert_twins, width, stem):
    strides = {"small": (1, 1, 2), "imagenet": (1, 2, 2)}[stem]
    setting = [[*row, stride] for row, stride in zip(TABLE, strides, strict=True)]
    theirs = torchvision.models.MobileNetV2(5, width, setting, dropout=0.0)
    if stem == "small":
        theirs.features[0][0].stride = (1, 1)
    ours = small(width=width, stem=stem)

    assert_twins(ours, theirs, torch.randn(3, 3, 15, 12), translate=with_strided_names(from_torchvision, ours))


@pytest.mark.slow
@pytest.mark.parametrize(("stem", "stage", "block"), [("small", 1, 0), ("imagenet", 1, 0), ("small", 1, 1)])
@pytest.mark.parametrize("kernel", [3, 5])
def test_a_block_with_squeeze_and_excitation_equals_timms(timm, assert_twins, renamed, stem, stage, block, kernel):
    efficientnet = timm.models._efficientnet_blocks
    attention = partial(SqueezeExcite, reduction=4, bias=True)
    ours = small(width=1, stem=stem, kernel=kernel, attention=attention, activation=HardSwish).stages[stage][block]
    theirs = efficientnet.InvertedResidual(
        ours.residual.expand.in_channels,
        ours.residual.project.out_channels,
        kernel,
        stride=2 if stem == "imagenet" else 1,
        exp_ratio=6,
        act_layer=nn.Hardswish,
        # The excitation's own activation is not the block's.
        se_layer=lambda channels, act_layer, **place: efficientnet.SqueezeExcite(channels, 0.25, **place),
    )
    names = renamed(
        ("conv_pwl", "project"), ("conv_pw", "expand"), ("conv_dw", "conv"), ("bn", "norm"),
        ("se.conv_reduce", "attention.squeeze"), ("se.conv_expand", "attention.excite"), ("^", "residual."),
    )  # fmt: skip

    def translate(state):
        renamed_state = with_strided_names(names, ours)(state)
        return {
            name: tensor.flatten(1) if "attention" in name and "weight" in name else tensor
            for name, tensor in renamed_state.items()
        }

    assert_twins(ours, theirs, torch.randn(3, ours.residual.expand.in_channels, 6, 7), translate=translate)


def test_parameters_are_as_many_as_published():
    with torch.device("meta"):
        full = partial(MobileNetV2, 3, 1000, width=1.0, stem="imagenet")
        assert count(full()) == 3_504_872
        assert count(full(attention=CoordinateAttention)) == 3_950_648
        assert count(MobileNetV2(3, 10)) == 250_922


def test_widths_are_multiples_of_eight_and_never_more_than_a_tenth_too_small():
    def widths(width):
        network = MobileNetV2(3, 5, width=width)
        projections = (stage[-1].residual.project.out_channels for stage in network.stages)
        return [network.stem.conv.out_channels, *projections]

    with torch.device("meta"):
        assert widths(0.35) == [16, 8, 8, 16, 24, 32, 56, 112]
        assert widths(0.8) == [24, 16, 24, 24, 48, 80, 128, 256]  # 19.2 is nearer to 16, which is a sixth too small
        assert [MobileNetV2(3, 5, width=w).head.in_features for w in (0.1, 1, 1.4)] == [1280, 1280, 1792]


@pytest.mark.parametrize("position", ["inside", "standard"])
def test_the_output_is_what_the_paper_writes(position):
    torch.manual_seed(0)
    attention = partial(SqueezeExcite, reduction=2)
    network = small(attention=attention, mix=PointwiseConvolution, norm=LayerNorm, position=position).eval()
    x = torch.randn(2, 3, 12, 9)
    y = network.stem.norm(network.stem.conv(x)).clamp(0, 6)
    for i, stage in enumerate(network.stages):
        for block in stage:
            layers, inside = block.residual, y
            if i > 0:
                inside = layers.norm1(layers.expand(inside)).clamp(0, 6)
            inside = layers.norm2(layers.mix(layers.conv(inside))).clamp(0, 6)
            inside = layers.attention(inside) if i > 0 and position == "inside" else inside
            inside = layers.norm3(layers.project(inside))
            inside = layers.attention(inside) if i > 0 and position == "standard" else inside
            y = inside + y if inside.shape == y.shape else inside
    y = network.last.norm(network.last.conv(y)).clamp(0, 6)
    expected = y.mean((2, 3)) @ network.head.weight.T + network.head.bias

    torch.testing.assert_close(network(x), expected)


def test_only_the_blocks_that_expand_have_attention():
    network = small(attention=SqueezeExcite)

    assert [hasattr(block.residual, "attention") for block in blocks(network)] == [False, True, True, True, True]
    assert network.stages[1][0].residual.attention.squeeze.in_features == 8 * 6
    standard = small(attention=partial(SqueezeExcite, reduction=4), position="standard")
    assert standard.stages[1][0].residual.attention.squeeze.in_features == 8


def test_blocks_expand_even_by_one_so_that_the_same_layers_exist():
    names = {name for name, _ in small().named_modules()}

    assert {name for name, _ in small(expansion=1).named_modules()} == names


def test_stem_and_last_convolution_stay_dense_and_only_downsampling_halves_the_map():
    network = small(conv=GroupedConvolution, kernel=5, downsample=MaxPool, norm=LayerNorm, shortcut=ProjectionShortcut)

    assert isinstance(network.stem.conv, DenseConvolution)
    assert network.stem.conv.kernel_size == (3, 3)
    assert network.last.conv.groups == 1
    assert isinstance(network.stages[1][0].shortcut.norm, nn.Identity)  # the shape is kept
    assert isinstance(network.stages[2][0].shortcut.norm, LayerNorm)
    assert isinstance(network.stages[2][0].residual.conv, MaxPool)
    inner = [getattr(block.residual.conv, "conv", block.residual.conv) for block in blocks(network)]
    assert {(conv.kernel_size, conv.stride, conv.groups) for conv in inner} == {((5, 5), (1, 1), 2)}
    assert isinstance(small().stages[2][0].shortcut, IdentityShortcut)
    assert isinstance(small().stages[1][1].residual.conv, DepthwiseConvolution)


@pytest.mark.parametrize(
    ("stem", "sides"), [("small", [32, 32, 32, 16, 8, 8, 4, 4]), ("imagenet", [16, 16, 8, 4, 2, 2, 1, 1])]
)
def test_the_stem_says_where_the_map_is_halved(stem, sides):
    network = MobileNetV2(3, 5, stem=stem, depths=(1,) * 7).eval()
    maps = [network.stem(torch.randn(1, 3, 32, 32))]
    for stage in network.stages:
        maps.append(stage(maps[-1]))

    assert [y.shape[-1] for y in maps] == sides


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"width": 0}, "mobilenet-v2: width=0 leaves no number of channels; above 0 would fit"),
        ({"width": float("inf")}, "mobilenet-v2: width=inf leaves no number of channels; above 0 would fit"),
        ({"width": float("nan")}, "mobilenet-v2: width=nan leaves no number of channels; above 0 would fit"),
        ({"expansion": 0}, "mobilenet-v2: expansion=0 is too small; 1 or more would fit"),
        ({"depths": (1,)}, "mobilenet-v2: depths=\\[1\\] are 1 stages; 2 to 7 would fit"),
        ({"depths": (1,) * 8}, "are 8 stages; 2 to 7 would fit"),
        ({"depths": (1, 0)}, "mobilenet-v2: depths=0 is too small; 1 or more would fit"),
        ({"kernel": 4}, "depthwise: kernel=4 has no middle pixel; 3 or 5 would fit"),
        ({"stem": "smal"}, "mobilenet-v2: unknown stem: 'smal'; did you mean 'small'"),
        ({"position": "end"}, "mobilenet-v2: unknown position: 'end'"),
    ],
)
def test_numbers_and_words_that_do_not_fit_are_refused_with_those_that_would(options, message):
    with pytest.raises(ValueError, match=message):
        small(**options)
