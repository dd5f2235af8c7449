"""Anti-aliased downsampling: its filter, its borders, and what it is for."""

import pytest
import torch
from torch import nn

from blocks.convolution import DenseConvolution
from blocks.downsampling import BlurPool


def conv(in_channels, out_channels, stride):
    return DenseConvolution(in_channels, out_channels, 3, stride)


def same(in_channels, out_channels, stride):
    return nn.Identity()


def mirrored(index, side):
    """Return the pixel that stands for one beyond the border, which is not repeated."""
    return side - 1 - abs(side - 1 - abs(index))


@pytest.mark.parametrize(("kernel", "line"), [(3, [1, 2, 1]), (5, [1, 4, 6, 4, 1])])
@pytest.mark.parametrize(("height", "width"), [(6, 5), (3, 8)])
def test_it_blurs_by_the_binomial_filter_and_keeps_every_second_pixel(kernel, line, height, width):
    x, reach = torch.randn(2, 3, height, width), kernel // 2
    expected = torch.zeros(2, 3, (height + 1) // 2, (width + 1) // 2)
    for row in range(expected.shape[2]):
        for column in range(expected.shape[3]):
            for i, down in enumerate(line):
                for j, right in enumerate(line):
                    pixel = x[:, :, mirrored(2 * row + i - reach, height), mirrored(2 * column + j - reach, width)]
                    expected[:, :, row, column] += down * right / sum(line) ** 2 * pixel

    torch.testing.assert_close(BlurPool(3, 3, same, kernel=kernel)(x), expected)


def test_a_checkerboard_that_a_stride_would_take_for_a_plain_map_is_averaged_away():
    board = (torch.arange(8)[:, None] + torch.arange(8)) % 2 * 2.0 - 1

    assert torch.equal(board[::2, ::2], torch.full((4, 4), -1.0))
    assert torch.equal(BlurPool(1, 1, same)(board[None, None]), torch.zeros(1, 1, 4, 4))


def test_the_filter_is_not_learned_and_not_saved():
    block = BlurPool(4, 6, conv)

    assert list(block.state_dict()) == ["conv.weight"]
    assert [name for name, _ in block.named_parameters()] == ["conv.weight"]
    assert block.conv.stride == (1, 1)


@pytest.mark.parametrize(("kernel", "side", "least"), [(3, 1, 2), (5, 2, 3)])
def test_a_map_that_is_too_small_for_its_border_is_refused(kernel, side, least):
    with pytest.raises(ValueError, match=f"blur-pool: .* needs a side of {least} or more, and the map is {side}×8"):
        BlurPool(4, 6, conv, kernel=kernel)(torch.zeros(1, 4, side, 8))


def test_a_filter_that_does_not_exist_is_refused():
    with pytest.raises(ValueError, match="blur-pool: kernel=4 has no filter; 3 or 5 would fit"):
        BlurPool(4, 6, conv, kernel=4)


@pytest.mark.slow
@pytest.mark.parametrize("kernel", [3, 5])
@pytest.mark.parametrize("side", [7, 8])
def test_it_computes_what_timm_computes(kernel, side, timm):
    ours = BlurPool(4, 6, conv, kernel=kernel).double()
    theirs = nn.Sequential(ours.conv, timm.layers.BlurPool2d(6, filt_size=kernel).double())
    x = torch.randn(2, 4, side, side + 1, dtype=torch.float64)
    weights = torch.randn(2, 6, 4, (side + 2) // 2, dtype=torch.float64)

    gradients = [torch.autograd.grad((module(x) * weights).sum(), ours.conv.weight)[0] for module in (ours, theirs)]

    torch.testing.assert_close(ours(x), theirs(x), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(*gradients, rtol=1e-12, atol=1e-12)
