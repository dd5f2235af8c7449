"""Partial convolution."""

import torch
from torch import Tensor, nn

from blocks.catalogue import register, require_divisor, require_odd
from blocks.convolution.dense import DenseConvolution


@register("conv", "partial")
class PartialConvolution(nn.Module):
    """Convolve the first of `share` parts of the channels and pass the others on.

    (batch, in_channels, height, width) → (batch, out_channels, ⌈height / stride⌉, ⌈width / stride⌉).
    Chen et al., Run, Don't Walk: Chasing Higher FLOPS for Faster Neural Networks, CVPR 2023, arXiv:2303.03667.
    Departs from the paper: it may change the shape, which the paper leaves to other layers. The convolution then fills the
    output channels that are not passed on, and of these every `stride`-th pixel is taken.

    The paper's 1×1 convolution after it is the choice `pointwise` of the `mix` slot.

    Raises:
        ValueError: if `share` does not divide `in_channels`, `out_channels` leaves none for the convolution, or `kernel` is
            not odd.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel: int, stride: int = 1, *, share: int = 4) -> None:
        super().__init__()
        require_odd("partial", kernel)
        require_divisor("partial", "share", share, in_channels)
        self.convolved = in_channels // share
        self.stride = stride
        passed = in_channels - self.convolved
        if out_channels <= passed:
            raise ValueError(
                f"partial: share={share} passes {passed} of {in_channels} input channels on, which leaves none of "
                f"{out_channels} output channels to convolve; {passed + 1} output channels or more would fit"
            )
        self.conv = DenseConvolution(self.convolved, out_channels - passed, kernel, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Convolve some channels."""
        first, passed = torch.split(x, [self.convolved, x.shape[1] - self.convolved], 1)
        return torch.cat([self.conv(first), passed[:, :, :: self.stride, :: self.stride]], 1)
