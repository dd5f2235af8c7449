"""Depthwise convolution."""

import pytest
import torch

from blocks.convolution import DepthwiseConvolution


@pytest.mark.parametrize(("kernel", "count"), [(1, 64), (3, 576), (7, 3_136), (11, 7_744)])
def test_weights_are_as_many_as_computed_by_hand(kernel, count):
    assert sum(parameter.numel() for parameter in DepthwiseConvolution(64, 64, kernel).parameters()) == count


def test_a_channel_sees_no_other():
    x = torch.zeros(1, 4, 5, 5)
    x[0, 2] = 1

    y = DepthwiseConvolution(4, 8, 3)(x)

    assert y[0].flatten(1).any(1).tolist() == [False, False, False, False, True, True, False, False]


@pytest.mark.parametrize(
    ("n_in", "n_out", "message"),
    [
        (8, 12, "depthwise: 12 output channels are not a multiple of 8 input channels; 8 or 16 would fit"),
        (8, 4, "depthwise: 4 output channels are not a multiple of 8 input channels; 8 would fit"),
    ],
)
def test_channels_that_do_not_fit_are_refused_with_those_that_would(n_in, n_out, message):
    with pytest.raises(ValueError, match=message):
        DepthwiseConvolution(n_in, n_out, 3)
