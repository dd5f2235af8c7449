"""Selective kernel convolution."""

from collections import OrderedDict

import torch
from torch import Tensor, nn

from blocks.catalogue import register, require_at_least, require_divisor, require_odd
from blocks.convolution.start import draw
from blocks.squeeze import average


@register("attention", "sk")
@register("conv", "sk")
class SelectiveKernel(nn.Module):
    """Convolve with kernels of several sizes and let each channel choose among them by what all of them found.

    (batch, in_channels, height, width) → (batch, out_channels, ⌈height / stride⌉, ⌈width / stride⌉).
    Li et al., Selective Kernel Networks, CVPR 2019, arXiv:1903.06586.
    Departs from the paper: none; a larger kernel is a dilated one, as in the paper's efficient form.

    As attention it keeps the shape. It holds its own norms and ReLUs; in training the norm of the choice needs two samples.

    Args:
        in_channels: of the input.
        out_channels: of the output; as many as of the input if not given.
        kernel: side of each branch's convolution, odd; the first is not dilated, the second by 2, ...
        stride: of each branch's convolution.
        branches: how many kernels there are to choose from.
        groups: groups of each branch's convolution.
        reduction: channels per hidden unit of the choice; without effect where that would leave less than `least`.
        least: hidden units of the choice, however few the channels.
        split: whether each branch sees its own share of the input channels instead of all (as in timm's SK-ResNets).

    Raises:
        ValueError: if `kernel` is not odd or less than 3, `groups` does not divide the channels of input (of a share with
            `split`) and output, `branches` does not divide those of the input with `split`, or a number is too small.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int | None = None,
        kernel: int = 3,
        stride: int = 1,
        *,
        branches: int = 2,
        groups: int = 32,
        reduction: int = 16,
        least: int = 32,
        split: bool = False,
    ) -> None:
        super().__init__()
        channels = in_channels if out_channels is None else out_channels
        require_at_least("sk", "kernel", kernel, 3)
        require_odd("sk", kernel)
        require_at_least("sk", "branches", branches, 2)
        require_at_least("sk", "reduction", reduction, 1)
        require_at_least("sk", "least", least, 1)
        if split:
            require_divisor("sk", "branches", branches, in_channels)
        seen = in_channels // branches if split else in_channels
        require_divisor("sk", "groups", groups, seen, channels)
        self.shares = _split if split else _repeat
        self.branches = nn.ModuleList(
            _branch(seen, channels, kernel, stride, dilation, groups) for dilation in range(1, branches + 1)
        )
        hidden = max(channels // reduction, least)
        self.reduce = nn.Linear(channels, hidden, bias=False)
        self.norm = nn.BatchNorm1d(hidden)
        self.select = nn.Linear(hidden, branches * channels, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Convolve and choose."""
        shares = self.shares(x, len(self.branches))
        maps = [branch(share) for branch, share in zip(self.branches, shares, strict=True)]
        found = torch.stack([average(features) for features in maps]).sum(0)  # (batch, channels)
        hidden = self.norm(self.reduce(found)).relu()
        scores = self.select(hidden).unflatten(1, (len(maps), -1))  # (batch, branches, channels)
        weights = scores.softmax(1)[..., None, None].unbind(1)
        mixed: Tensor = weights[0] * maps[0]
        for weight, features in zip(weights[1:], maps[1:], strict=True):
            mixed = torch.addcmul(mixed, weight, features)
        return mixed


def _branch(in_channels: int, channels: int, kernel: int, stride: int, dilation: int, groups: int) -> nn.Sequential:
    padding = dilation * (kernel // 2)
    conv = nn.Conv2d(in_channels, channels, kernel, stride, padding, dilation, groups, bias=False)
    draw(conv)
    return nn.Sequential(OrderedDict(conv=conv, norm=nn.BatchNorm2d(channels), relu=nn.ReLU(inplace=True)))


def _split(x: Tensor, branches: int) -> tuple[Tensor, ...]:
    return x.chunk(branches, 1)


def _repeat(x: Tensor, branches: int) -> tuple[Tensor, ...]:
    return (x,) * branches
