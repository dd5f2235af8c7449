"""Pointwise convolution between groups."""

from torch import nn

from blocks.catalogue import register
from blocks.convolution.start import draw


@register("mix", "pointwise")
class PointwiseConvolution(nn.Conv2d):
    """Combine all channels of each pixel by a 1×1 convolution.

    (batch, channels, height, width) → same shape.
    Lin et al., Network In Network, ICLR 2014, arXiv:1312.4400.
    Departs from the paper: no bias and no non-linearity of its own.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(channels, channels, 1, bias=False)

    def reset_parameters(self) -> None:
        """Draw new weights."""
        draw(self)
