"""Patches and stages of the networks that see an image as patches."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from blocks.downsampling import PatchMerging, Strided
from blocks.networks.patches import PatchConvolution, patch_stages
from blocks.normalization import LayerNorm


@pytest.mark.parametrize("sides", [(8, 8), (7, 8), (5, 10), (1, 1)])
def test_every_patch_becomes_a_pixel_and_zeros_complete_the_last(sides):
    patches = PatchConvolution(3, 6, 4)
    x = torch.randn(2, 3, *sides)
    height, width = (-(-side // 4) * 4 for side in sides)
    whole = functional.pad(x, (0, width - sides[1], 0, height - sides[0]))
    vectors = functional.unfold(whole, 4, stride=4)  # (batch, channels · 16, patches)
    expected = patches.weight.flatten(1) @ vectors + patches.bias[:, None]

    torch.testing.assert_close(patches(x), expected.reshape(2, 6, height // 4, width // 4))


def test_blocks_are_told_their_number_and_a_norm_and_patches_stand_between_stages():
    made = []

    def block(channels, index):
        made.append((channels, index))
        return nn.Identity()

    stages = patch_stages((4, 8, 16), (2, 1, 3), block, downsample=Strided, norm=LayerNorm)

    assert made == [(4, 0), (4, 1), (8, 0), (16, 0), (16, 1), (16, 2)]
    assert [hasattr(stage, "downsample") for stage in stages] == [False, True, True]
    between = stages[1].downsample.conv
    x = torch.randn(2, 4, 7, 6)
    torch.testing.assert_close(stages[1](x), between.conv(between.norm(x)))
    assert (between.conv.kernel_size, between.conv.out_channels) == ((2, 2), 8)


def test_what_has_a_layer_of_its_own_takes_the_place_of_norm_and_patches():
    stages = patch_stages((4, 8), (1, 1), lambda *_: nn.Identity(), downsample=PatchMerging, norm=LayerNorm)

    assert isinstance(stages[1].downsample, PatchMerging)
    assert stages(torch.randn(2, 4, 7, 6)).shape == (2, 8, 4, 3)
