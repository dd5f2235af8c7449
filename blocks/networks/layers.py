"""Layers that several convolutional networks are made of."""

from collections import OrderedDict

from torch import nn

from blocks.catalogue import require_known
from blocks.convolution.dense import DenseConvolution
from blocks.slots import MakeModule

STEMS = ("small", "imagenet")


def conv_norm_act(
    in_channels: int, out_channels: int, kernel: int, stride: int = 1, *, norm: MakeModule, activation: MakeModule
) -> nn.Sequential:
    """Return a dense convolution, a norm and an activation."""
    return nn.Sequential(
        OrderedDict(
            conv=DenseConvolution(in_channels, out_channels, kernel, stride),
            norm=norm(out_channels),
            act=activation(out_channels),
        )
    )


def make_stem(
    network: str,
    stem: str,
    in_channels: int,
    out_channels: int,
    *,
    kernel: int,
    norm: MakeModule,
    activation: MakeModule,
) -> nn.Sequential:
    """Return the first layers: small, 3×3, keep the map; those for ImageNet halve it, and again by a max-pool.

    Args:
        network: its name, for errors.
        stem: which of the two.
        in_channels: of the image.
        out_channels: of the map.
        kernel: side of the convolution for ImageNet.
        norm: follows the convolution.
        activation: follows the norm.

    Raises:
        ValueError: if the stem is not known.
    """
    require_known(network, "stem", stem, STEMS)
    if stem == "small":
        return conv_norm_act(in_channels, out_channels, 3, norm=norm, activation=activation)
    layers = conv_norm_act(in_channels, out_channels, kernel, 2, norm=norm, activation=activation)
    layers.add_module("pool", nn.MaxPool2d(3, 2, padding=1))
    return layers
