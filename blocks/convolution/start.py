"""How the weights of a convolution start."""

from torch import nn


def draw(convolution: nn.Conv2d) -> None:
    """Draw weights that keep the variance of gradients through a ReLU.

    Fan-out counts the channels of all groups, as torchvision does for grouped convolutions.
    """
    nn.init.kaiming_normal_(convolution.weight, mode="fan_out", nonlinearity="relu")
