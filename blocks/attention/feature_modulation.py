"""Spatially-adaptive feature modulation."""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from blocks.catalogue import register, require_divisor, require_known, require_side


def _maximum(x: Tensor, sides: tuple[int, int]) -> Tensor:
    pooled: Tensor = functional.adaptive_max_pool2d(x, sides)
    return pooled


def _mean(x: Tensor, sides: tuple[int, int]) -> Tensor:
    return functional.adaptive_avg_pool2d(x, sides)


POOLS = {"max": _maximum, "avg": _mean}
UPSAMPLES = ("nearest", "bilinear")


@register("attention", "safm", smallest=8)
class FeatureModulation(nn.Module):
    """Scale each value by a gate that mixes groups of channels, each seen at a scale of its own.

    (batch, channels, height, width) → same shape.
    Sun et al., Spatially-Adaptive Feature Modulation for Efficient Image Super-Resolution, ICCV 2023, arXiv:2302.13800.
    Departs from the paper: none.

    The channels are cut into `levels` groups. Group i is pooled to sides 2ⁱ times smaller, rounded down, each of its
    channels convolved there by its own 3×3 kernel, and enlarged again; a 1×1 convolution of all groups, through a GELU,
    is the gate. A gate may exceed one and, a little, fall below zero.

    Args:
        channels: of input and output.
        levels: how many scales there are.
        pool: how a group is made smaller.
        upsample: how it is made larger again.

    Raises:
        ValueError: if `levels` does not divide the channels, a word is not known, or there is no smaller level for `pool`
            and `upsample`; from `forward`, if the map is too small for the last level.
    """

    def __init__(
        self,
        channels: int,
        *,
        levels: int = 4,
        pool: Literal["max", "avg"] = "max",
        upsample: Literal["nearest", "bilinear"] = "nearest",
    ) -> None:
        super().__init__()
        require_divisor("safm", "levels", levels, channels)
        require_known("safm", "pool", pool, POOLS)
        require_known("safm", "upsample", upsample, UPSAMPLES)
        if levels == 1 and (pool, upsample) != ("max", "nearest"):
            raise ValueError(
                f"safm: pool={pool} and upsample={upsample} do nothing with levels=1, where no map is made smaller; "
                "levels=2 or more, or neither of them, would fit"
            )
        group = channels // levels
        smaller = (_Level(group, 2**i, pool, upsample) for i in range(1, levels))
        self.levels = nn.ModuleList([_convolve(group), *smaller])
        self.mix = nn.Conv2d(channels, channels, 1)
        self.act = nn.GELU()

    def forward(self, x: Tensor) -> Tensor:
        """Weigh the values."""
        n_levels = len(self.levels)
        require_side("safm", x.shape, 2 ** (n_levels - 1), f"levels={n_levels}")
        groups = x.chunk(n_levels, 1)
        seen = torch.cat([level(group) for level, group in zip(self.levels, groups, strict=True)], 1)
        gate: Tensor = self.act(self.mix(seen))
        return x * gate


class _Level(nn.Module):
    """Convolve the channels of a smaller map, each by itself, and bring the result back to the size of the input."""

    def __init__(self, channels: int, factor: int, pool: str, upsample: str) -> None:
        super().__init__()
        self.factor, self.pool, self.upsample = factor, POOLS[pool], upsample
        self.conv = _convolve(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Return a map of the same size."""
        height, width = x.shape[2:]
        small = self.conv(self.pool(x, (height // self.factor, width // self.factor)))
        return functional.interpolate(small, (height, width), mode=self.upsample)


def _convolve(channels: int) -> nn.Conv2d:
    return nn.Conv2d(channels, channels, 3, padding=1, groups=channels)
