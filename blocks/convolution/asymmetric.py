"""Convolution by a column and a row."""

from torch import nn

from blocks.catalogue import register, require_at_least, require_odd
from blocks.convolution.start import draw


@register("conv", "asymmetric")
class AsymmetricConvolution(nn.Sequential):
    """Convolve by a column of `kernel` pixels, then by a row of as many.

    (batch, in_channels, height, width) → (batch, out_channels, ⌈height / stride⌉, ⌈width / stride⌉).
    Szegedy et al., Rethinking the Inception Architecture for Computer Vision, CVPR 2016, arXiv:1512.00567.
    Departs from the paper: neither norm nor ReLU between the two; `out_channels` between them.

    Raises:
        ValueError: if `kernel` is not odd, or less than 3: a single pixel has no factors.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel: int, stride: int = 1) -> None:
        require_odd("asymmetric", kernel)
        require_at_least("asymmetric", "kernel", kernel, 3)
        super().__init__()
        half = kernel // 2
        self.column = nn.Conv2d(in_channels, out_channels, (kernel, 1), (stride, 1), (half, 0), bias=False)
        self.row = nn.Conv2d(out_channels, out_channels, (1, kernel), (1, stride), (0, half), bias=False)
        draw(self.column)
        draw(self.row)
