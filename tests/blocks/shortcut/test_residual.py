"""The shortcuts of residual networks: the paper's options written as loops, and what keeps the shape."""

from functools import partial

import pytest
import torch
from torch import nn

from blocks.normalization import BatchNorm
from blocks.shortcut import IdentityShortcut, NoShortcut, ProjectionShortcut, ZeroPadShortcut

SHORTCUTS = {
    "identity": IdentityShortcut, "projection": ProjectionShortcut, "zero-pad": ZeroPadShortcut,
}  # fmt: skip


def images(*, height=5, width=7):
    return torch.randn(2, 4, height, width, generator=torch.Generator().manual_seed(1))


def count(module):
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize("name", SHORTCUTS)
def test_where_the_shape_is_kept_the_input_itself_is_added(name):
    shortcut, x = SHORTCUTS[name](4, 4, 1, BatchNorm), images()

    assert shortcut(x) is x
    assert count(shortcut) == 0


def test_option_a_takes_every_second_pixel_and_zeros_for_new_channels():
    x = images()
    expected = torch.zeros(2, 6, 3, 4)
    for channel in range(4):
        for row in range(3):
            for column in range(4):
                expected[:, channel, row, column] = x[:, channel, 2 * row, 2 * column]

    shortcut = ZeroPadShortcut(4, 6, 2, BatchNorm)

    assert torch.equal(shortcut(x), expected)
    assert count(shortcut) == 0


def test_option_a_changes_channels_alone_and_pixels_alone():
    x = images()

    assert torch.equal(ZeroPadShortcut(4, 6, 1, BatchNorm)(x)[:, :4], x)
    assert torch.equal(ZeroPadShortcut(4, 4, 2, BatchNorm)(x), x[:, :, ::2, ::2])


def test_option_b_projects_where_the_shape_changes():
    torch.manual_seed(0)
    shortcut, x = ProjectionShortcut(4, 6, 2, BatchNorm).eval(), images()
    shortcut.norm.running_mean.normal_()
    expected = torch.empty(2, 6, 3, 4)
    for channel in range(6):
        for row in range(3):
            for column in range(4):
                expected[:, channel, row, column] = (
                    x[:, :, 2 * row, 2 * column] @ shortcut.conv.weight[channel, :, 0, 0]
                )
    expected = (expected - shortcut.norm.running_mean[:, None, None]) / (1 + shortcut.norm.eps) ** 0.5

    torch.testing.assert_close(shortcut(x), expected)
    assert count(shortcut) == 4 * 6 + 2 * 6


def test_option_c_projects_everywhere():
    shortcut = ProjectionShortcut(4, 4, 1, BatchNorm, everywhere=True)

    assert count(shortcut) == 4 * 4 + 2 * 4
    assert isinstance(shortcut.norm, BatchNorm)


@pytest.mark.parametrize("shape", [(4, 6, 1), (4, 4, 2), (4, 6, 2)])
def test_an_identity_adds_nothing_where_the_shape_changes(shape):
    assert torch.equal(IdentityShortcut(*shape, BatchNorm)(images()), torch.zeros(()))


@pytest.mark.parametrize("shape", [(4, 4, 1), (4, 6, 2)])
def test_no_shortcut_adds_nothing_anywhere(shape):
    assert torch.equal(NoShortcut(*shape, BatchNorm)(images().double()), torch.zeros((), dtype=torch.float64))


def test_the_norm_of_the_network_follows_a_projection():
    assert isinstance(ProjectionShortcut(4, 6, 1, partial(nn.GroupNorm, 2)).norm, nn.GroupNorm)


def test_channels_cannot_be_padded_away():
    with pytest.raises(
        ValueError, match="zero-pad: 4 output channels are fewer than 6 input channels; 6 or more would"
    ):
        ZeroPadShortcut(6, 4, 2, BatchNorm)


@pytest.mark.slow
def test_a_projection_computes_what_timm_computes(timm, renamed, assert_twins):
    theirs = timm.models.resnet.downsample_conv(4, 6, 1, stride=2)

    assert_twins(
        ProjectionShortcut(4, 6, 2, BatchNorm), theirs, images(), translate=renamed(("^0", "conv"), ("^1", "norm"))
    )
