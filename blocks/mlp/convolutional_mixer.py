"""Convolutional channel mixer."""

from collections import OrderedDict

from torch import nn

from blocks.catalogue import register, require_odd
from blocks.mlp.width import widened
from blocks.slots import MakeModule


@register("mlp", "ccm")
class ConvolutionalChannelMixer(nn.Sequential):
    """Widen the channels by a k×k convolution, activate them, and narrow them by a 1×1 convolution.

    (batch, channels, height, width) → same shape.
    Sun et al., Spatially-Adaptive Feature Modulation for Efficient Image Super-Resolution, ICCV 2023, arXiv:2302.13800.
    Departs from the paper: the activation is the network's, the paper's is GELU.

    With its default kernel it has about five times the weights of a perceptron of the same width, `mlp` with the same
    `expansion`, and with `kernel` 1 it is one: a comparison of the two also compares capacities.

    Args:
        channels: of input and output.
        activation: makes what stands between the convolutions.
        expansion: hidden channels for each channel, their number rounded down.
        kernel: side of the first convolution, odd.

    Raises:
        ValueError: if `expansion` leaves no hidden channel, or `kernel` is not odd.
    """

    def __init__(self, channels: int, activation: MakeModule, *, expansion: float = 2.0, kernel: int = 3) -> None:
        require_odd("ccm", kernel)
        hidden = widened("ccm", channels, expansion)
        super().__init__(
            OrderedDict(
                expand=nn.Conv2d(channels, hidden, kernel, padding=kernel // 2),
                activation=activation(hidden),
                project=nn.Conv2d(hidden, channels, 1),
            )
        )
