"""Decomposed large-kernel convolution."""

from torch import nn

from blocks.catalogue import register, require_at_least, require_odd
from blocks.convolution.dense import DenseConvolution
from blocks.convolution.depthwise import DepthwiseConvolution
from blocks.convolution.start import draw


@register("conv", "large-kernel")
class LargeKernelConvolution(nn.Sequential):
    """Convolve every channel by a small kernel and a dilated one, then combine the channels of each pixel.

    (batch, in_channels, height, width) → (batch, out_channels, ⌈height / stride⌉, ⌈width / stride⌉).
    Guo et al., Visual Attention Network, Computational Visual Media 2023, arXiv:2202.09741.
    Departs from the paper: the convolution alone, which does not gate its input; no biases; any number of channels out.

    With d for `dilation`, the sides are 2d - 1 and ⌈kernel / d⌉, which together see d · ⌈kernel / d⌉ + d - 1 pixels: the
    paper's 21 at dilation 3 sees 23, and dilation 2 sees `kernel` + 2. The dilated convolution takes the stride.

    Raises:
        ValueError: if `kernel` is not odd or less than 3, or `dilation` is less than 2, not less than `kernel`, or leaves
            a dilated kernel that has no middle.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel: int, stride: int = 1, *, dilation: int = 2) -> None:
        require_odd("large-kernel", kernel)
        require_at_least("large-kernel", "kernel", kernel, 3)
        reaches = {d: d * ((kernel - 1) // d) for d in range(2, kernel)}  # from the first to the last dilated value
        if reaches.get(dilation, 1) % 2:
            fit = ", ".join(str(d) for d, reach in reaches.items() if reach % 2 == 0)
            raise ValueError(
                f"large-kernel: dilation={dilation} does not split kernel={kernel} around its middle; {fit} would fit"
            )
        super().__init__()
        reach = reaches[dilation]
        self.near = DepthwiseConvolution(in_channels, in_channels, 2 * dilation - 1)
        self.far = nn.Conv2d(
            in_channels,
            in_channels,
            reach // dilation + 1,
            stride,
            reach // 2,
            dilation=dilation,
            groups=in_channels,
            bias=False,
        )
        self.combine = DenseConvolution(in_channels, out_channels, 1)
        draw(self.far)
