"""Depthwise separable convolution."""

from collections import OrderedDict

from torch import nn

from blocks.catalogue import register, require_dilation, require_odd
from blocks.convolution.dense import DenseConvolution
from blocks.convolution.depthwise import DepthwiseConvolution


@register("conv", "separable")
class SeparableConvolution(nn.Sequential):
    """Convolve every channel by itself, then combine the channels of each pixel.

    (batch, in_channels, height, width) → (batch, out_channels, ⌈height / stride⌉, ⌈width / stride⌉).
    Chollet, Xception: Deep Learning with Depthwise Separable Convolutions, CVPR 2017, arXiv:1610.02357.
    Departs from the paper: none; nothing lies between the two, where MobileNet has a norm and a ReLU.

    Raises:
        ValueError: if `kernel` is not odd, or `dilation` is none that fits `depthwise`.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel: int, stride: int = 1, *, dilation: int = 1) -> None:
        require_odd("separable", kernel)
        require_dilation("separable", dilation, kernel)
        super().__init__(
            OrderedDict(
                depthwise=DepthwiseConvolution(in_channels, in_channels, kernel, stride, dilation=dilation),
                pointwise=DenseConvolution(in_channels, out_channels, 1),
            )
        )
