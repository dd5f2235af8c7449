"""Feature modulation against explicit windows."""

import math

import pytest
import torch

from blocks.activation import GELU
from blocks.attention.feature_modulation import FeatureModulation
from blocks.mlp.convolutional_mixer import ConvolutionalChannelMixer
from blocks.normalization import LayerNorm


def count(module):
    return sum(parameter.numel() for parameter in module.parameters())


def gelu(value):
    return value * (1 + math.erf(value / math.sqrt(2))) / 2


def pooled(grid, height, width, combine):
    """Return a smaller grid; window i reaches from ⌊i · side / sides⌋ to ⌈(i + 1) · side / sides⌉."""

    def window(i, side, n):
        return range(i * side // n, -(-(i + 1) * side // n))

    return [
        [
            combine(
                [grid[a][b] for a in window(i, len(grid), height) for b in window(j, len(grid[0]), width)],
            )
            for j in range(width)
        ]
        for i in range(height)
    ]


def convolved(grid, kernel, bias):
    height, width = len(grid), len(grid[0])
    return [
        [
            bias
            + sum(
                kernel[a][b] * grid[i + a - 1][j + b - 1]
                for a in range(3)
                for b in range(3)
                if 0 <= i + a - 1 < height and 0 <= j + b - 1 < width
            )
            for j in range(width)
        ]
        for i in range(height)
    ]


def nearest(grid, height, width):
    return [[grid[i * len(grid) // height][j * len(grid[0]) // width] for j in range(width)] for i in range(height)]


def bilinear(grid, height, width):
    def between(i, side, n):
        """Return two neighbours and the share of the second, with the middles of pixels at half numbers."""
        place = max(0.0, (i + 0.5) * n / side - 0.5)
        first = min(int(place), n - 1)
        return first, min(first + 1, n - 1), place - first

    def at(i, j):
        (top, bottom, down), (left, right, across) = between(i, height, len(grid)), between(j, width, len(grid[0]))
        above = grid[top][left] * (1 - across) + grid[top][right] * across
        below = grid[bottom][left] * (1 - across) + grid[bottom][right] * across
        return above * (1 - down) + below * down

    return [[at(i, j) for j in range(width)] for i in range(height)]


def mean(values):
    return sum(values) / len(values)


def literal(module, sample, levels, combine, enlarge):
    channels, height, width = sample.shape
    seen = []
    for c in range(channels):
        i, place = divmod(c, channels // levels)
        conv = getattr(module.levels[i], "conv", module.levels[i])
        kernel, bias = conv.weight[place, 0].tolist(), conv.bias[place].item()
        grid = sample[c].tolist()
        if i > 0:
            grid = pooled(grid, height // 2**i, width // 2**i, combine)
        grid = convolved(grid, kernel, bias)
        seen.append(enlarge(grid, height, width) if i > 0 else grid)
    rows, biases = module.mix.weight.flatten(1).tolist(), module.mix.bias.tolist()
    return torch.tensor(
        [
            [
                [
                    gelu(biases[c] + sum(rows[c][o] * seen[o][i][j] for o in range(channels))) * sample[c, i, j].item()
                    for j in range(width)
                ]
                for i in range(height)
            ]
            for c in range(channels)
        ],
        dtype=torch.float64,
    )


@pytest.mark.parametrize(
    ("levels", "pool", "upsample"),
    [
        (1, "max", "nearest"),
        (2, "avg", "nearest"),
        (3, "max", "nearest"),
        (3, "max", "bilinear"),
        (3, "avg", "bilinear"),
    ],
)
def test_each_group_is_seen_at_its_own_scale_and_all_together_weigh_the_values(levels, pool, upsample):
    torch.manual_seed(0)
    module = FeatureModulation(6, levels=levels, pool=pool, upsample=upsample).double()
    x = torch.randn(2, 6, 7, 9, dtype=torch.float64)
    combine = {"max": max, "avg": mean}[pool]
    enlarge = {"nearest": nearest, "bilinear": bilinear}[upsample]

    torch.testing.assert_close(
        module(x), torch.stack([literal(module, sample, levels, combine, enlarge) for sample in x])
    )


def test_four_levels_on_the_smallest_map_end_in_a_single_pixel():
    torch.manual_seed(0)
    module, x = FeatureModulation(4).double(), torch.randn(1, 4, 8, 12, dtype=torch.float64)

    torch.testing.assert_close(module(x)[0], literal(module, x[0], 4, max, nearest))


def test_parameters_are_as_many_as_in_the_authors_block():
    attention, mlp = FeatureModulation(36), ConvolutionalChannelMixer(36, GELU)

    assert count(attention) == 1_692
    assert count(torch.nn.Sequential(LayerNorm(36), attention, LayerNorm(36), mlp)) == 27_864


def test_how_a_group_is_pooled_and_enlarged_changes_no_weight():
    shapes = [
        {name: tensor.shape for name, tensor in FeatureModulation(8, **options).state_dict().items()}
        for options in ({}, {"pool": "avg"}, {"upsample": "bilinear"})
    ]

    assert shapes[0] == shapes[1] == shapes[2]


def test_a_gate_that_sees_nothing_is_the_same_everywhere():
    module, x = FeatureModulation(8), torch.randn(2, 8, 8, 8)
    torch.nn.init.zeros_(module.mix.weight)
    torch.nn.init.ones_(module.mix.bias)

    torch.testing.assert_close(module(x), gelu(1.0) * x)


def test_what_it_cannot_be_built_with_is_refused():
    with pytest.raises(ValueError, match=r"safm: levels=3 does not divide 32 channels; 1, 2, 4, 8, 16, 32 would fit"):
        FeatureModulation(32, levels=3)
    with pytest.raises(ValueError, match=r"safm: unknown pool: 'mean'"):
        FeatureModulation(32, pool="mean")
    with pytest.raises(ValueError, match=r"safm: unknown upsample: 'nearst'; did you mean 'nearest'"):
        FeatureModulation(32, upsample="nearst")
    with pytest.raises(ValueError, match=r"safm: pool=avg and upsample=nearest do nothing with levels=1"):
        FeatureModulation(32, levels=1, pool="avg")


def test_a_map_too_small_for_the_last_level_is_refused():
    with pytest.raises(ValueError, match=r"safm: levels=4 needs a side of 8 or more, and the map is 7×9"):
        FeatureModulation(8)(torch.zeros(1, 8, 7, 9))
    assert FeatureModulation(8, levels=2)(torch.zeros(1, 8, 2, 2)).shape == (1, 8, 2, 2)
