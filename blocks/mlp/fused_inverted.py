"""The residual branch of EfficientNetV2's first stages."""

from collections import OrderedDict

from torch import nn

from blocks.catalogue import register
from blocks.convolution.dense import DenseConvolution
from blocks.mlp.width import widened
from blocks.normalization.batch import BatchNorm
from blocks.slots import MakeModule


@register("mlp", "fused-inverted")
class FusedInverted(nn.Sequential):
    """Widen by a dense k×k convolution, and narrow again by a linear 1×1 convolution.

    (batch, channels, height, width) → same shape.
    Tan and Le, EfficientNetV2: Smaller Models and Faster Training, ICML 2021, arXiv:2104.00298 (Fused-MBConv).
    Departs from the paper: no shortcut, which the network around the slot adds, and no squeeze-and-excitation, which its
    networks leave out of this block, too; the network's activation instead of SiLU.

    Args:
        channels: of the map.
        activation: follows the first convolution, after its batch norm.
        expansion: hidden channels for each of the map's, their number rounded down.
        kernel: side of the first convolution, odd.

    Raises:
        ValueError: if `expansion` leaves no hidden channel, or `kernel` is not odd.
    """

    def __init__(self, channels: int, activation: MakeModule, *, expansion: float = 4.0, kernel: int = 3) -> None:
        hidden = widened("fused-inverted", channels, expansion)
        super().__init__(
            OrderedDict(
                conv=DenseConvolution(channels, hidden, kernel),
                norm1=BatchNorm(hidden),
                act=activation(hidden),
                project=DenseConvolution(hidden, channels, 1),
                norm2=BatchNorm(channels),
            )
        )
