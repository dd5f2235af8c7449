"""The shortcut of ResNet-D: against the paper written as loops and against timm."""

import pytest
import torch
from torch import nn

from blocks.normalization import BatchNorm
from blocks.shortcut import AveragePoolShortcut


def images():
    return torch.randn(2, 4, 5, 7, generator=torch.Generator().manual_seed(1))


def test_it_averages_windows_then_projects():
    torch.manual_seed(0)
    shortcut, x = AveragePoolShortcut(4, 6, 2, nn.Identity), images()
    expected = torch.empty(2, 6, 3, 4)
    for row in range(3):
        for column in range(4):
            window = x[:, :, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2]  # less than 2×2 at the ends
            expected[:, :, row, column] = window.mean((2, 3)) @ shortcut.conv.weight[:, :, 0, 0].T

    torch.testing.assert_close(shortcut(x), expected)


def test_where_the_shape_is_kept_the_input_itself_is_added():
    shortcut, x = AveragePoolShortcut(4, 4, 1, BatchNorm), images()

    assert shortcut(x) is x


def test_new_channels_alone_are_projected_without_pooling():
    shortcut, x = AveragePoolShortcut(4, 6, 1, nn.Identity), images()

    assert torch.equal(shortcut(x), shortcut.conv(x))


@pytest.mark.slow
@pytest.mark.parametrize("stride", [1, 2])
def test_it_computes_what_timm_computes(stride, timm, renamed, assert_twins):
    theirs = timm.models.resnet.downsample_avg(4, 6, 1, stride=stride)

    assert_twins(
        AveragePoolShortcut(4, 6, stride, BatchNorm),
        theirs,
        images(),
        translate=renamed(("^1", "conv"), ("^2", "norm")),
    )
