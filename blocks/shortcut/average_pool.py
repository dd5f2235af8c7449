"""The shortcut of ResNet-D."""

from torch import Tensor, nn

from blocks.catalogue import register
from blocks.convolution.dense import DenseConvolution
from blocks.slots import MakeModule


@register("shortcut", "average-pool")
class AveragePoolShortcut(nn.Module):
    """Add the input, where the shape changes after average pooling, a 1×1 convolution and a norm.

    (batch, in_channels, height, width) → (batch, out_channels, ⌈height / stride⌉, ⌈width / stride⌉).
    He et al., Bag of Tricks for Image Classification with Convolutional Neural Networks, CVPR 2019, arXiv:1812.01187.
    Departs from the paper: none; at an odd side the last window is cut, not padded.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int, norm: MakeModule) -> None:
        super().__init__()
        keeps_shape = in_channels == out_channels and stride == 1
        # Windows of one pixel would copy the map.
        self.pool = nn.Identity() if stride == 1 else nn.AvgPool2d(stride, ceil_mode=True, count_include_pad=False)
        self.conv = nn.Identity() if keeps_shape else DenseConvolution(in_channels, out_channels, 1)
        self.norm = nn.Identity() if keeps_shape else norm(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """Return what is added."""
        shortcut: Tensor = self.norm(self.conv(self.pool(x)))
        return shortcut
