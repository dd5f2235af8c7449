"""ShuffleNet: its units written out channel by channel, its counts, and the groups of its shuffle."""

from functools import partial

import pytest
import torch
from torch import nn

from blocks.absence import Nothing
from blocks.activation import GELU
from blocks.attention import SqueezeExcite
from blocks.convolution import DenseConvolution, DepthwiseConvolution
from blocks.mixing import ChannelShuffle, PointwiseConvolution
from blocks.networks.shufflenet_v1 import ShuffleNetV1


def small(**options):
    return ShuffleNetV1(3, 5, **{"depths": (2, 2), **options})


def count(module):
    return sum(parameter.numel() for parameter in module.parameters())


def units(network):
    return [unit for stage in network.stages for unit in stage]


def pointwise(maps, weight, groups):
    """Return one map for each output channel: the weighted sum of the maps of its own group."""
    n_in, n_out = len(maps) // groups, len(weight) // groups
    return [
        sum(weight[g * n_out + o, i, 0, 0] * maps[g * n_in + i] for i in range(n_in))
        for g in range(groups)
        for o in range(n_out)
    ]


def normalised(maps, norm):
    return [
        (y - norm.running_mean[c]) / (norm.running_var[c] + 1e-5).sqrt() * norm.weight[c] + norm.bias[c]
        for c, y in enumerate(maps)
    ]


def rectified(maps):
    return [y * (y > 0) for y in maps]


def shuffled(maps, groups):
    """Return the first channel of every group, then the second of every group, and so on."""
    n = len(maps) // groups
    return [maps[g * n + i] for i in range(n) for g in range(groups)]


def windows(y, stride):
    """Yield (row, column, the values under a 3×3 window with their places in it)."""
    height, width = y.shape[1:]
    for i in range(0, height, stride):
        for j in range(0, width, stride):
            yield i // stride, j // stride, [
                (a, b, y[:, i + a - 1, j + b - 1])
                for a in range(3)
                for b in range(3)
                if 0 <= i + a - 1 < height and 0 <= j + b - 1 < width
            ]  # fmt: skip


def depthwise(maps, weight, stride):
    out = [torch.zeros_like(y[:, ::stride, ::stride]) for y in maps]
    for c, y in enumerate(maps):
        for row, column, values in windows(y, stride):
            out[c][:, row, column] = sum(weight[c, 0, a, b] * value for a, b, value in values)
    return out


def averaged(maps):
    out = [torch.zeros_like(y[:, ::2, ::2]) for y in maps]
    for c, y in enumerate(maps):
        for row, column, values in windows(y, 2):
            out[c][:, row, column] = sum(value for _, _, value in values) / 9
    return out


def residual(maps, layers, stride, groups):
    y = rectified(normalised(pointwise(maps, layers.reduce.weight, layers.reduce.groups), layers.norm1))
    y = normalised(depthwise(shuffled(y, groups), layers.conv.weight, stride), layers.norm2)
    return normalised(pointwise(y, layers.expand.weight, groups), layers.norm3)


def stirred(network):
    torch.manual_seed(0)
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                for tensor in (module.weight, module.bias, module.running_mean, module.running_var):
                    tensor.uniform_(0.5, 1.5)
    return network.double().eval()


@pytest.mark.parametrize("groups", [1, 2, 3])
def test_the_units_are_what_the_paper_draws(groups):
    halving, keeping = units(stirred(small(groups=groups, width=0.1, depths=(1, 2))))[1:]
    x = torch.rand(2, halving.residual.reduce.in_channels, 5, 4, dtype=torch.float64)
    maps = list(x.unbind(1))
    down = rectified(averaged(maps) + residual(maps, halving.residual, 2, groups))
    out = rectified([a + b for a, b in zip(down, residual(down, keeping.residual, 1, groups), strict=True)])

    torch.testing.assert_close(halving(x), torch.stack(down, 1))
    torch.testing.assert_close(keeping(halving(x)), torch.stack(out, 1))


def test_the_first_unit_of_all_has_a_dense_first_convolution():
    network = stirred(small(width=0.1, depths=(1,)))
    unit = units(network)[0]
    x = torch.rand(2, 3, 4, 4, dtype=torch.float64)
    maps = list(x.unbind(1))

    assert (unit.residual.reduce.groups, unit.residual.expand.groups) == (1, 3)
    expected = rectified(averaged(maps) + residual(maps, unit.residual, 2, 3))
    torch.testing.assert_close(unit(x), torch.stack(expected, 1))


def test_a_shuffle_after_the_depthwise_convolution_is_the_same_function_of_other_channels():
    layers = units(stirred(small()))[1].residual
    x = torch.rand(2, layers.reduce.in_channels, 4, 4, dtype=torch.float64)
    order = layers.mix(torch.arange(layers.reduce.out_channels)[None, :, None, None])[0, :, 0, 0].argsort()
    expected = layers(x)
    y = layers.act(layers.norm1(layers.reduce(x)))
    with torch.no_grad():
        layers.conv.weight.copy_(layers.conv.weight[order])
        for tensor in layers.norm2.state_dict().values():
            tensor.copy_(tensor[order] if tensor.dim() else tensor)

    torch.testing.assert_close(layers.norm3(layers.expand(layers.mix(layers.norm2(layers.conv(y))))), expected)


def test_parameters_are_as_many_as_in_the_authors_code():
    with torch.device("meta"):
        full = partial(ShuffleNetV1, 3, 1000, width=1.0, stem="imagenet")
        assert count(full()) == 1_864_728
        assert count(full(groups=8)) == 2_433_768
        assert count(ShuffleNetV1(3, 10)) == 242_124


@pytest.mark.parametrize(
    ("groups", "widths", "stem", "width"),
    [
        (1, [144, 288, 576], 12, 72),
        (2, [200, 400, 800], 12, 104),  # 100 has no quarter that 2 divides
        (3, [240, 480, 960], 12, 120),
        (4, [272, 544, 1088], 12, 144),  # nor has 136 one that 4 divides
        (8, [384, 768, 1536], 16, 192),  # the authors' code, too, makes 12 channels 16
    ],
)
def test_the_widths_are_those_of_the_papers_table_and_rounded_so_that_the_groups_divide_them(
    groups, widths, stem, width
):
    with torch.device("meta"):
        full, narrow = (ShuffleNetV1(3, 5, groups=groups, width=w, depths=(1, 1, 1)) for w in (1.0, 0.5))
        stage = narrow.stages[1][0].residual.reduce.in_channels

        assert full.stem.conv.out_channels == 24
        assert [stage[0].residual.expand.out_channels for stage in full.stages] == [
            after - before for before, after in zip([24, *widths], widths, strict=False)
        ]
        assert [unit.residual.expand.groups for unit in units(narrow)] == [groups] * 3
        assert (narrow.stem.conv.out_channels, stage) == (stem, width)


@pytest.mark.parametrize("groups", [1, 2, 3, 4, 8])
@pytest.mark.parametrize("mix", [ChannelShuffle, partial(ChannelShuffle), partial(ChannelShuffle, groups=None)])
def test_a_shuffle_without_groups_of_its_own_has_those_of_the_network(groups, mix):
    network = small(groups=groups, mix=mix)

    assert {unit.residual.mix.groups for unit in units(network)} == {groups}


def test_a_shuffle_keeps_groups_of_its_own_and_another_mix_is_left_as_it_is():
    assert {unit.residual.mix.groups for unit in units(small(mix=partial(ChannelShuffle, groups=5)))} == {5}
    assert isinstance(units(small(mix=Nothing))[0].residual.mix, Nothing)
    assert isinstance(units(small(mix=PointwiseConvolution))[0].residual.mix, PointwiseConvolution)


def reaches(network):
    """Return how many inputs of a unit one of its outputs depends on, through its residual branch."""
    layers = units(network)[1].residual.eval()
    x = torch.rand(1, layers.reduce.in_channels, 3, 3, requires_grad=True)
    layers(x)[0, 0].sum().backward()
    return int(x.grad.abs().sum((0, 2, 3)).bool().sum())


def test_without_a_shuffle_groups_do_not_see_each_other_and_with_it_they_do():
    smooth = partial(small, activation=GELU, norm=Nothing)
    channels = 120

    assert reaches(smooth(mix=Nothing)) == channels // 3
    assert reaches(smooth()) == channels
    assert reaches(smooth(mix=Nothing, groups=1)) == 72


def test_attention_sees_the_channels_that_the_residual_branch_adds():
    network = small(attention=SqueezeExcite)

    assert [unit.residual.attention.squeeze.in_features for unit in units(network)] == [120 - 12, 120, 120, 240]
    assert [name for name, _ in units(network)[0].residual.named_children()][-2:] == ["norm3", "attention"]


def test_conv_and_kernel_act_on_the_convolution_between_the_two_grouped_ones():
    network = small(conv=DenseConvolution, kernel=5)

    assert {unit.residual.conv.kernel_size for unit in units(network)} == {(5, 5)}
    assert {unit.residual.conv.groups for unit in units(network)} == {1}
    assert network.stem.conv.kernel_size == (3, 3)
    assert isinstance(units(small())[0].residual.conv, DepthwiseConvolution)


@pytest.mark.parametrize(("stem", "sides"), [("small", [32, 16, 8, 4]), ("imagenet", [8, 4, 2, 1])])
def test_the_stem_says_how_large_the_first_map_is_and_each_stage_halves_it(stem, sides):
    network = ShuffleNetV1(3, 5, stem=stem, depths=(1, 1, 1)).eval()
    maps = [network.stem(torch.randn(1, 3, 32, 32))]
    for stage in network.stages:
        maps.append(stage(maps[-1]))

    assert [y.shape[-1] for y in maps] == sides


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"groups": 5}, "shufflenet-v1: groups=5 is not in the paper's table; 1, 2, 3, 4, 8 would fit"),
        ({"width": 0}, "shufflenet-v1: width=0 leaves no number of channels; above 0 would fit"),
        ({"width": float("inf")}, "shufflenet-v1: width=inf leaves no number of channels; above 0 would fit"),
        ({"width": float("nan")}, "shufflenet-v1: width=nan leaves no number of channels; above 0 would fit"),
        ({"depths": ()}, "shufflenet-v1: stages in depths=0 is too small; 1 or more would fit"),
        ({"depths": (2, 0)}, "shufflenet-v1: depths=0 is too small; 1 or more would fit"),
        (
            {"depths": (1, 1, 1), "widths": (120, 242, 480)},
            "shufflenet-v1: widths=242 has no quarter for groups=3 to divide; 240 or 252 would fit",
        ),
        (
            {"depths": (1, 1, 1), "widths": (120, 240, 240)},
            "shufflenet-v1: widths=240 is too small; 252 or more would fit",
        ),
        (
            {"depths": (1, 1, 1), "widths": (12, 240, 480)},
            "shufflenet-v1: widths=12 is too small; 24 or more would fit",
        ),
        ({"kernel": 4}, "depthwise: kernel=4 has no middle pixel; 3 or 5 would fit"),
        ({"stem": "smal"}, "shufflenet-v1: unknown stem: 'smal'; did you mean 'small'"),
        ({"mix": partial(ChannelShuffle, groups=4)}, "shuffle: groups=4 does not divide 30 channels"),
    ],
)
def test_numbers_and_words_that_do_not_fit_are_refused_with_those_that_would(options, message):
    with pytest.raises(ValueError, match=message):
        small(**options)
