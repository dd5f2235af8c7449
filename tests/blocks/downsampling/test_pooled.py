"""Downsampling by pooling: windows written as loops, at even and odd sides."""

from functools import partial

import pytest
import torch

from blocks.convolution import DenseConvolution
from blocks.downsampling import AveragePool, MaxPool, Strided

REDUCE = {MaxPool: lambda window: window.amax((2, 3)), AveragePool: lambda window: window.mean((2, 3))}


def conv(in_channels, out_channels, stride):
    return DenseConvolution(in_channels, out_channels, 3, stride)


@pytest.mark.parametrize("block", [MaxPool, AveragePool])
@pytest.mark.parametrize("kernel", [2, 3])
@pytest.mark.parametrize(("height", "width"), [(6, 4), (5, 7), (1, 2), (1, 1)])
def test_each_window_of_what_the_convolution_made_is_reduced(block, kernel, height, width):
    torch.manual_seed(0)
    made, x = block(2, 3, conv, kernel=kernel), torch.randn(2, 2, height, width)
    convolved = made.conv(x)
    rows, columns, reach = (height + 1) // 2, (width + 1) // 2, kernel // 3
    expected = torch.empty(2, 3, rows, columns)
    for row in range(rows):
        for column in range(columns):
            top, left = 2 * row - reach, 2 * column - reach
            window = convolved[:, :, max(0, top) : top + kernel, max(0, left) : left + kernel]
            expected[:, :, row, column] = REDUCE[block](window)

    assert made.conv.stride == (1, 1)
    torch.testing.assert_close(made(x), expected)


@pytest.mark.parametrize("block", [MaxPool, AveragePool])
def test_weights_have_the_names_and_shapes_of_a_strided_convolution(block):
    def shapes(module):
        return {name: tensor.shape for name, tensor in module.state_dict().items()}

    assert shapes(block(2, 3, conv)) == shapes(block(2, 3, conv, kernel=3)) == shapes(Strided(2, 3, conv))


@pytest.mark.parametrize(("block", "name"), [(MaxPool, "max-pool"), (AveragePool, "average-pool")])
@pytest.mark.parametrize("kernel", [1, 4])
def test_windows_of_other_sides_are_refused(block, name, kernel):
    with pytest.raises(ValueError, match=f"{name}: kernel={kernel} would not halve the map, .*; 2 or 3 would fit"):
        partial(block, kernel=kernel)(2, 3, conv)
