"""Depthwise convolution."""

from torch import nn

from blocks.catalogue import register, require_dilation, require_odd
from blocks.convolution.start import draw


@register("conv", "depthwise")
class DepthwiseConvolution(nn.Conv2d):
    """Convolve every channel by itself.

    (batch, in_channels, height, width) → (batch, out_channels, ⌈height / stride⌉, ⌈width / stride⌉).
    Chollet, Xception: Deep Learning with Depthwise Separable Convolutions, CVPR 2017, arXiv:1610.02357.
    Departs from the paper: the 1×1 convolution that makes it separable is the choice `pointwise` of the `mix` slot.

    `dilation` is the distance of the kernel's values in pixels.

    Raises:
        ValueError: if `out_channels` is not a multiple of `in_channels`, `kernel` is not odd, or `dilation` is less than 1,
            or more where the kernel has one value.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel: int, stride: int = 1, *, dilation: int = 1) -> None:
        require_odd("depthwise", kernel)
        require_dilation("depthwise", dilation, kernel)
        if out_channels % in_channels:
            below = out_channels // in_channels * in_channels
            fit = " or ".join(str(n) for n in (below, below + in_channels) if n)
            raise ValueError(
                f"depthwise: {out_channels} output channels are not a multiple of {in_channels} input channels; "
                f"{fit} would fit"
            )
        padding = dilation * (kernel // 2)
        super().__init__(
            in_channels, out_channels, kernel, stride, padding, dilation=dilation, groups=in_channels, bias=False
        )

    def reset_parameters(self) -> None:
        """Draw new weights."""
        draw(self)
