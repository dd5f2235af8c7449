"""Grouped convolution."""

from torch import nn

from blocks.catalogue import register, require_dilation, require_divisor, require_odd
from blocks.convolution.start import draw


@register("conv", "grouped")
class GroupedConvolution(nn.Conv2d):
    """Convolve the channels in `groups` that do not see each other.

    (batch, in_channels, height, width) → (batch, out_channels, ⌈height / stride⌉, ⌈width / stride⌉).
    Xie et al., Aggregated Residual Transformations for Deep Neural Networks, CVPR 2017, arXiv:1611.05431.
    Departs from the paper: no 1×1 convolutions around it; the `mix` slot adds what connects the groups.

    `dilation` is the distance of the kernel's values in pixels.

    Raises:
        ValueError: if `groups` does not divide both numbers of channels, `kernel` is not odd, or `dilation` is less than 1,
            or more where the kernel has one value.
    """

    def __init__(
        self, in_channels: int, out_channels: int, kernel: int, stride: int = 1, *, groups: int = 2, dilation: int = 1
    ) -> None:
        require_odd("grouped", kernel)
        require_dilation("grouped", dilation, kernel)
        require_divisor("grouped", "groups", groups, in_channels, out_channels)
        padding = dilation * (kernel // 2)
        super().__init__(
            in_channels, out_channels, kernel, stride, padding, dilation=dilation, groups=groups, bias=False
        )

    def reset_parameters(self) -> None:
        """Draw new weights."""
        draw(self)
