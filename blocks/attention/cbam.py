"""Convolutional block attention module."""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from blocks.catalogue import register, require_known, require_odd, require_unit

ORDERS = ("channel-first", "spatial-first")


def _mean(x: Tensor) -> Tensor:
    return x.mean((2, 3))


def _maximum(x: Tensor) -> Tensor:
    # Five times faster than `amax`, whose gradient goes over the whole map.
    return functional.max_pool2d(x, x.shape[2:]).flatten(1)


POOLS = {"avg": (_mean,), "max": (_maximum,), "both": (_mean, _maximum)}


@register("attention", "cbam")
class CBAM(nn.Module):
    """Scale channels by a gate from their pooled values, then pixels by a gate from their pooled channels.

    (batch, channels, height, width) → same shape.
    Woo et al., CBAM: Convolutional Block Attention Module, ECCV 2018, arXiv:1807.06521.
    Departs from the paper: biases in the channel gate and a batch norm in the spatial gate, as in the authors' code.

    `pool` is what the channel gate sees; the spatial gate always sees both maximum and mean.

    Raises:
        ValueError: if `channels` is smaller than `reduction`, `reduction` than 1, `kernel` is not odd, or a word is not known.
    """

    def __init__(
        self,
        channels: int,
        *,
        reduction: int = 16,
        kernel: int = 7,
        order: Literal["channel-first", "spatial-first"] = "channel-first",
        pool: Literal["both", "avg", "max"] = "both",
    ) -> None:
        super().__init__()
        require_unit("cbam", reduction, channels)
        require_odd("cbam", kernel)
        require_known("cbam", "order", order, ORDERS)
        require_known("cbam", "pool", pool, POOLS)
        self.channel = _ChannelGate(channels, channels // reduction, pool)
        self.spatial = _SpatialGate(kernel)
        self.channel_first = order == "channel-first"

    def forward(self, x: Tensor) -> Tensor:
        """Weigh channels and pixels."""
        first, second = (self.channel, self.spatial) if self.channel_first else (self.spatial, self.channel)
        output: Tensor = second(first(x))
        return output


class _ChannelGate(nn.Module):
    """Scale each channel by a gate from its average and maximum, both through the same two layers."""

    def __init__(self, channels: int, hidden: int, pool: str) -> None:
        super().__init__()
        self.mlp = nn.Sequential(nn.Linear(channels, hidden), nn.ReLU(inplace=True), nn.Linear(hidden, channels))
        self.pools = POOLS[pool]

    def forward(self, x: Tensor) -> Tensor:
        """Weigh the channels."""
        scores = torch.stack([self.mlp(pooling(x)) for pooling in self.pools])
        gate = scores.sum(0).sigmoid()  # (batch, channels)
        return x * gate[:, :, None, None]


class _SpatialGate(nn.Module):
    """Scale each pixel by a gate from the maximum and mean of the channels around it."""

    def __init__(self, kernel: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 1, kernel, padding=kernel // 2, bias=False)
        self.norm = nn.BatchNorm2d(1, momentum=0.01)

    def forward(self, x: Tensor) -> Tensor:
        """Weigh the pixels."""
        pooled = torch.cat([x.amax(1, keepdim=True), x.mean(1, keepdim=True)], 1)  # (batch, 2, height, width)
        gate: Tensor = self.norm(self.conv(pooled)).sigmoid()  # (batch, 1, height, width)
        return x * gate
