"""First layers of convolutional networks."""

import pytest
import torch

from blocks.absence import Nothing
from blocks.activation import ReLU6
from blocks.networks.layers import conv_norm_act, make_stem
from blocks.normalization import LayerNorm


def test_a_norm_and_an_activation_follow_the_convolution():
    layers = conv_norm_act(3, 8, 5, 2, norm=LayerNorm, activation=ReLU6)
    x = torch.randn(2, 3, 9, 8)

    torch.testing.assert_close(layers(x), layers.norm(layers.conv(x)).clamp(0, 6))
    assert (layers.conv.kernel_size, layers.conv.stride, layers.conv.bias) == ((5, 5), (2, 2), None)


@pytest.mark.parametrize(("stem", "side", "kernel"), [("small", 33, 3), ("imagenet", 9, 7)])
def test_a_small_stem_keeps_the_map_and_one_for_imagenet_leaves_a_quarter_of_its_sides(stem, side, kernel):
    layers = make_stem("net", stem, 3, 8, kernel=7, norm=Nothing, activation=Nothing)

    assert layers(torch.randn(1, 3, 33, 33)).shape == (1, 8, side, side)
    assert layers.conv.kernel_size == (kernel, kernel)


def test_an_unknown_stem_is_refused_with_those_that_there_are():
    with pytest.raises(
        ValueError, match=r"net: unknown stem: 'smal'; did you mean 'small'\? \(known: small, imagenet\)"
    ):
        make_stem("net", "smal", 3, 8, kernel=7, norm=Nothing, activation=Nothing)
