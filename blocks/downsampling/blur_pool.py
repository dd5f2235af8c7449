"""Anti-aliased downsampling."""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from blocks.catalogue import register, require_side
from blocks.slots import MakeStrided

BINOMIAL = {3: (1.0, 2.0, 1.0), 5: (1.0, 4.0, 6.0, 4.0, 1.0)}


@register("downsample", "blur-pool", smallest=2)
class BlurPool(nn.Module):
    """Convolve with stride 1, then blur by a fixed binomial filter and keep every second pixel.

    (batch, in_channels, height, width) → (batch, out_channels, ⌈height / 2⌉, ⌈width / 2⌉).
    Zhang, Making Convolutional Networks Shift-Invariant Again, ICML 2019, arXiv:1904.11486.
    Departs from the paper: the blur follows the convolution itself, before norm and activation; reflected borders as
    in the author's code.

    Args:
        in_channels: of the input.
        out_channels: of the output.
        conv: makes the convolution.
        kernel: side of the filter.

    Raises:
        ValueError: if `kernel` is neither 3 nor 5, or from `forward`, if the map is too small for its border to be reflected.
    """

    def __init__(self, in_channels: int, out_channels: int, conv: MakeStrided, *, kernel: Literal[3, 5] = 3) -> None:
        super().__init__()
        if kernel not in BINOMIAL:
            raise ValueError(f"blur-pool: kernel={kernel} has no filter; 3 or 5 would fit")
        self.conv = conv(in_channels, out_channels, 1)
        line = torch.tensor(BINOMIAL[kernel])
        plane = line[:, None] * line / line.sum() ** 2
        self.register_buffer("filter", plane.expand(out_channels, 1, kernel, kernel).clone(), persistent=False)
        self.filter: Tensor

    def forward(self, x: Tensor) -> Tensor:
        """Halve the map."""
        reach = self.filter.shape[-1] // 2
        require_side("blur-pool", x.shape, reach + 1, f"a reflected border of {reach}")
        padded = functional.pad(self.conv(x), (reach, reach, reach, reach), mode="reflect")
        return functional.conv2d(padded, self.filter, stride=2, groups=self.filter.shape[0])
