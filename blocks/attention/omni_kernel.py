"""Omni-kernel module."""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from blocks.catalogue import register, require_at_least, require_known, require_odd
from blocks.squeeze import average


@register("attention", "omni-kernel")
class OmniKernel(nn.Module):
    """Add to each value what it, a wide surrounding and the whole map tell, rectify the sums and mix the channels.

    (batch, channels, height, width) → same shape.
    Cui et al., Omni-Kernel Network for Image Restoration, AAAI 2024.
    Departs from the paper: follows the authors' code, which takes absolute values after each inverse transform, without
    what changes nothing in it: a 3×3 convolution that is never used (295,168 of 919,296 parameters at 128 channels) and
    the transforms around the first weighing, where all frequencies of a channel get the same factor.

    The branches see the input through a 1×1 convolution and a GELU. `local` scales and shifts each channel. `large` sums
    convolutions of each channel by kernels of 1×k, k×1 and k×k. `global` weighs each channel twice, by linear functions
    of all averages, and adds the frequencies weighed by the map; that sum starts as the weighed channels alone.

    Args:
        channels: of input and output.
        kernel: side of the large kernels, odd, 3 or more; 63 if not given. Weights that lie beyond the map from every
            pixel are left out of the computation: on an 8×8 map 63 is quick, from 32×32 on it is slow on a CPU.
        branches: those that there are; their order changes nothing.

    Raises:
        ValueError: if `kernel` is not odd or less than 3, or given without the branch that has it, or there is no branch,
            one that is not known, or one twice.
    """

    def __init__(
        self,
        channels: int,
        *,
        kernel: int | None = None,
        branches: tuple[Literal["local", "large", "global"], ...] = ("local", "large", "global"),
    ) -> None:
        super().__init__()
        _require_branches(branches, kernel)
        size = 63 if kernel is None else kernel
        require_at_least("omni-kernel", "kernel", size, 3)
        require_odd("omni-kernel", size)
        self.reduce = nn.Conv2d(channels, channels, 1)
        # In the order of the table, so that sums are the same to the last bit whatever order is asked for.
        self.branches = nn.ModuleDict({name: BRANCHES[name](channels, size) for name in BRANCHES if name in branches})
        self.project = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return the sum of input and branches, rectified and mixed."""
        features = functional.gelu(self.reduce(x))
        for branch in self.branches.values():
            x = x + branch(features)
        output: Tensor = self.project(x.relu())
        return output


def _local(channels: int, kernel: int) -> nn.Module:  # noqa: ARG001 - as for all branches
    return nn.Conv2d(channels, channels, 1, groups=channels)


class _Large(nn.Module):
    """Convolve each channel by itself, by three kernels, and add the results."""

    def __init__(self, channels: int, kernel: int) -> None:
        super().__init__()
        self.row = _WideConvolution(channels, (1, kernel))
        self.column = _WideConvolution(channels, (kernel, 1))
        self.square = _WideConvolution(channels, (kernel, kernel))

    def forward(self, x: Tensor) -> Tensor:
        """Return a map of the same size."""
        output: Tensor = self.row(x) + self.column(x) + self.square(x)
        return output


class _WideConvolution(nn.Conv2d):
    """Convolve each channel by itself, by the part of the kernel that the map can fill."""

    def __init__(self, channels: int, sides: tuple[int, int]) -> None:
        super().__init__(channels, channels, sides, groups=channels)
        self.reach = (sides[0] // 2, sides[1] // 2)

    def forward(self, x: Tensor) -> Tensor:
        """Return a map of the same size."""
        (up, left), (height, width) = self.reach, x.shape[2:]
        tall, wide = min(up, height - 1), min(left, width - 1)
        weight = self.weight[:, :, up - tall : up + tall + 1, left - wide : left + wide + 1]
        return functional.conv2d(x, weight, self.bias, padding=(tall, wide), groups=self.groups)


class _Global(nn.Module):
    """Weigh the channels twice, then add the frequencies of the map weighed by the map."""

    def __init__(self, channels: int, kernel: int) -> None:  # noqa: ARG002 - as for all branches
        super().__init__()
        self.frequency_gate = nn.Linear(channels, channels)
        self.channel_gate = nn.Linear(channels, channels)
        self.weights = nn.Conv2d(channels, channels, 1)
        self.values = nn.Conv2d(channels, channels, 1)
        self.alpha = nn.Parameter(torch.zeros(channels, 1, 1))
        self.beta = nn.Parameter(torch.ones(channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Return a map of the same size."""
        # All frequencies of a channel times one number, transformed back, are the channel times that number.
        x = _weigh(x, self.frequency_gate).abs()
        x = _weigh(x, self.channel_gate)
        values = self.values(x)
        precise = torch.promote_types(values.dtype, torch.float32)  # there is no transform of bfloat16
        frequencies = torch.fft.fft2(values.to(precise)) * self.weights(x)
        output: Tensor = x * self.beta + torch.fft.ifft2(frequencies).abs().to(x.dtype) * self.alpha
        return output


def _weigh(x: Tensor, gate: nn.Module) -> Tensor:
    factors: Tensor = gate(average(x))  # (batch, channels)
    return x * factors[:, :, None, None]


BRANCHES = {"local": _local, "large": _Large, "global": _Global}


def _require_branches(branches: tuple[str, ...], kernel: int | None) -> None:
    for branch in branches:
        require_known("omni-kernel", "branch", branch, BRANCHES)
    if not branches or len(set(branches)) < len(branches):
        known = ", ".join(BRANCHES)
        raise ValueError(f"omni-kernel: branches={list(branches)} is not one or more of {known}, each at most once")
    if kernel is not None and "large" not in branches:
        raise ValueError(f"omni-kernel: kernel={kernel} does nothing without the branch large; none would fit")
