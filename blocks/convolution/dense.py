"""Dense convolution."""

from torch import nn

from blocks.catalogue import register, require_dilation, require_odd
from blocks.convolution.start import draw


@register("conv", "dense")
class DenseConvolution(nn.Conv2d):
    """Convolve all input channels into every output channel.

    (batch, in_channels, height, width) → (batch, out_channels, ⌈height / stride⌉, ⌈width / stride⌉).
    LeCun et al., Gradient-Based Learning Applied to Document Recognition, Proceedings of the IEEE 1998.
    Departs from the paper: zero padding and no bias; weights start as in He et al. 2015, by fan-out.

    `dilation` is the distance of the kernel's values in pixels (Yu and Koltun, ICLR 2016, arXiv:1511.07122).

    Raises:
        ValueError: if `kernel` is not odd, or `dilation` is less than 1, or more where the kernel has one value.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel: int, stride: int = 1, *, dilation: int = 1) -> None:
        require_odd("dense", kernel)
        require_dilation("dense", dilation, kernel)
        padding = dilation * (kernel // 2)
        super().__init__(in_channels, out_channels, kernel, stride, padding, dilation=dilation, bias=False)

    def reset_parameters(self) -> None:
        """Draw new weights."""
        draw(self)
