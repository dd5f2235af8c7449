"""The residual branch of MobileNetV2."""

from collections import OrderedDict

from torch import nn

from blocks.catalogue import register
from blocks.convolution.dense import DenseConvolution
from blocks.convolution.depthwise import DepthwiseConvolution
from blocks.mlp.width import widened
from blocks.normalization.batch import BatchNorm
from blocks.slots import MakeModule


@register("mlp", "inverted-residual")
class InvertedResidual(nn.Sequential):
    """Widen by a 1×1 convolution, convolve every channel by itself, and narrow again by a linear 1×1 convolution.

    (batch, channels, height, width) → same shape.
    Sandler et al., MobileNetV2: Inverted Residuals and Linear Bottlenecks, CVPR 2018, arXiv:1801.04381.
    Departs from the paper: no shortcut, which the network around the slot adds; four times as wide inside, as is usual
    for the slot, where MobileNetV2 is six times; the network's activation instead of ReLU6.

    Args:
        channels: of the map.
        activation: follows the first two convolutions, after their batch norms.
        expansion: hidden channels for each of the map's, their number rounded down.
        kernel: side of the depthwise convolution, odd.

    Raises:
        ValueError: if `expansion` leaves no hidden channel, or `kernel` is not odd.
    """

    def __init__(self, channels: int, activation: MakeModule, *, expansion: float = 4.0, kernel: int = 3) -> None:
        hidden = widened("inverted-residual", channels, expansion)
        super().__init__(
            OrderedDict(
                expand=DenseConvolution(channels, hidden, 1),
                norm1=BatchNorm(hidden),
                act1=activation(hidden),
                conv=DepthwiseConvolution(hidden, hidden, kernel),
                norm2=BatchNorm(hidden),
                act2=activation(hidden),
                project=DenseConvolution(hidden, channels, 1),
                norm3=BatchNorm(channels),
            )
        )
