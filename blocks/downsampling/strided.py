"""Downsampling by the stride of a convolution."""

from torch import Tensor, nn

from blocks.catalogue import register
from blocks.slots import MakeStrided


@register("downsample", "strided")
class Strided(nn.Module):
    """Convolve with stride 2.

    (batch, in_channels, height, width) → (batch, out_channels, ⌈height / 2⌉, ⌈width / 2⌉).
    Springenberg et al., Striving for Simplicity: The All Convolutional Net, ICLR Workshops 2015, arXiv:1412.6806.
    Departs from the paper: none.
    """

    def __init__(self, in_channels: int, out_channels: int, conv: MakeStrided) -> None:
        super().__init__()
        self.conv = conv(in_channels, out_channels, 2)

    def forward(self, x: Tensor) -> Tensor:
        """Halve the map."""
        output: Tensor = self.conv(x)
        return output
