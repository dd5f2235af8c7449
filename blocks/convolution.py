"""k×k convolutions of a residual block: same size at stride 1, no bias, because a norm follows."""

import math

from torch import nn

from blocks.catalogue import register


@register("conv", "dense")
class DenseConvolution(nn.Conv2d):
    """Convolve all input channels into every output channel.

    (batch, in_channels, height, width) → (batch, out_channels, ⌈height / stride⌉, ⌈width / stride⌉).
    LeCun et al., Gradient-Based Learning Applied to Document Recognition, Proceedings of the IEEE 1998.
    Departs from the paper: zero padding and no bias; weights start as in He et al. 2015, by fan-out.

    Raises:
        ValueError: if `kernel` is not odd.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel: int, stride: int = 1) -> None:
        padding = _padding("dense", kernel)
        super().__init__(in_channels, out_channels, kernel, stride, padding, bias=False)

    def reset_parameters(self) -> None:
        """Draw new weights."""
        draw(self)


@register("conv", "grouped")
class GroupedConvolution(nn.Conv2d):
    """Convolve the channels in `groups` that do not see each other.

    (batch, in_channels, height, width) → (batch, out_channels, ⌈height / stride⌉, ⌈width / stride⌉).
    Xie et al., Aggregated Residual Transformations for Deep Neural Networks, CVPR 2017, arXiv:1611.05431.
    Departs from the paper: no 1×1 convolutions around it; the `mix` slot adds what connects the groups.

    Raises:
        ValueError: if `groups` does not divide both numbers of channels, or `kernel` is not odd.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel: int, stride: int = 1, *, groups: int = 2) -> None:
        padding = _padding("grouped", kernel)
        shared = math.gcd(in_channels, out_channels)
        if groups < 1 or shared % groups:
            fit = ", ".join(str(n) for n in range(1, shared + 1) if shared % n == 0)
            raise ValueError(
                f"grouped: groups={groups} does not divide {in_channels} input and {out_channels} output channels; "
                f"{fit} would fit"
            )
        super().__init__(in_channels, out_channels, kernel, stride, padding, groups=groups, bias=False)

    def reset_parameters(self) -> None:
        """Draw new weights."""
        draw(self)


@register("conv", "depthwise")
class DepthwiseConvolution(nn.Conv2d):
    """Convolve every channel by itself.

    (batch, in_channels, height, width) → (batch, out_channels, ⌈height / stride⌉, ⌈width / stride⌉).
    Chollet, Xception: Deep Learning with Depthwise Separable Convolutions, CVPR 2017, arXiv:1610.02357.
    Departs from the paper: the 1×1 convolution that makes it separable is the choice `pointwise` of the `mix` slot.

    Raises:
        ValueError: if `out_channels` is not a multiple of `in_channels`, or `kernel` is not odd.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel: int, stride: int = 1) -> None:
        padding = _padding("depthwise", kernel)
        if out_channels % in_channels:
            below = out_channels // in_channels * in_channels
            fit = " or ".join(str(n) for n in (below, below + in_channels) if n)
            raise ValueError(
                f"depthwise: {out_channels} output channels are not a multiple of {in_channels} input channels; "
                f"{fit} would fit"
            )
        super().__init__(in_channels, out_channels, kernel, stride, padding, groups=in_channels, bias=False)

    def reset_parameters(self) -> None:
        """Draw new weights."""
        draw(self)


def draw(convolution: nn.Conv2d) -> None:
    """Draw weights that keep the variance of gradients through a ReLU.

    Fan-out counts the channels of all groups, as torchvision does for grouped convolutions.
    """
    nn.init.kaiming_normal_(convolution.weight, mode="fan_out", nonlinearity="relu")


def _padding(name: str, kernel: int) -> int:
    if kernel < 1 or kernel % 2 == 0:
        fit = "1 or 3" if kernel < 2 else f"{kernel - 1} or {kernel + 1}"
        raise ValueError(f"{name}: kernel={kernel} has no middle pixel; {fit} would fit")
    return kernel // 2
