"""Downsampling by pooling what a convolution with stride 1 has made."""

from typing import Literal

from torch import Tensor, nn

from blocks.catalogue import register
from blocks.slots import MakeStrided


@register("downsample", "max-pool")
class MaxPool(nn.Module):
    """Convolve with stride 1, then keep the largest value of every window.

    (batch, in_channels, height, width) → (batch, out_channels, ⌈height / 2⌉, ⌈width / 2⌉).
    Scherer et al., Evaluation of Pooling Operations in Convolutional Architectures, ICANN 2010; windows as in
    Krizhevsky et al., ImageNet Classification with Deep Convolutional Neural Networks, NIPS 2012.
    Departs from the paper: at an odd side the last window is cut, not dropped; windows of side 3 reach over the border.

    Args:
        in_channels: of the input.
        out_channels: of the output.
        conv: makes the convolution.
        kernel: side of the windows; those of side 3 overlap.

    Raises:
        ValueError: if `kernel` is neither 2 nor 3.
    """

    def __init__(self, in_channels: int, out_channels: int, conv: MakeStrided, *, kernel: Literal[2, 3] = 2) -> None:
        super().__init__()
        _require_window("max-pool", kernel)
        self.conv = conv(in_channels, out_channels, 1)
        self.pool = nn.MaxPool2d(kernel, 2, padding=kernel // 3, ceil_mode=kernel == 2)

    def forward(self, x: Tensor) -> Tensor:
        """Halve the map."""
        output: Tensor = self.pool(self.conv(x))
        return output


@register("downsample", "average-pool")
class AveragePool(nn.Module):
    """Convolve with stride 1, then average every window.

    (batch, in_channels, height, width) → (batch, out_channels, ⌈height / 2⌉, ⌈width / 2⌉).
    LeCun et al., Gradient-Based Learning Applied to Document Recognition, Proceedings of the IEEE 1998.
    Departs from the paper: no gain and bias per channel; at an odd side the last window is cut, not dropped.

    Args:
        in_channels: of the input.
        out_channels: of the output.
        conv: makes the convolution.
        kernel: side of the windows; those of side 3 overlap.

    Raises:
        ValueError: if `kernel` is neither 2 nor 3.
    """

    def __init__(self, in_channels: int, out_channels: int, conv: MakeStrided, *, kernel: Literal[2, 3] = 2) -> None:
        super().__init__()
        _require_window("average-pool", kernel)
        self.conv = conv(in_channels, out_channels, 1)
        self.pool = nn.AvgPool2d(kernel, 2, padding=kernel // 3, ceil_mode=kernel == 2, count_include_pad=False)

    def forward(self, x: Tensor) -> Tensor:
        """Halve the map."""
        output: Tensor = self.pool(self.conv(x))
        return output


def _require_window(block: str, kernel: int) -> None:
    if kernel not in (2, 3):
        raise ValueError(f"{block}: kernel={kernel} would not halve the map, rounding up; 2 or 3 would fit")
