"""Normalisation layers: which values share a mean and a variance."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from blocks.catalogue import register


@register("norm", "batch")
class BatchNorm(nn.BatchNorm2d):
    """Normalise each channel over the batch; running averages at evaluation.

    (batch, channels, height, width) → same shape.
    Ioffe and Szegedy, Batch Normalization, ICML 2015, arXiv:1502.03167.
    Departs from the paper: running averages with momentum 0.1 instead of a pass over the training data.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(channels)


@register("norm", "layer")
class LayerNorm(nn.Module):
    """Normalise each pixel over its channels.

    (batch, channels, height, width) → same shape.
    Ba et al., Layer Normalization, arXiv:1607.06450; per pixel as in Liu et al., ConvNeXt, CVPR 2022, arXiv:2201.03545.
    Departs from the paper: pixels do not share statistics; `layer-chw` is the choice where they do.

    Raises:
        ValueError: if `channels` is less than 2: one value minus its mean is zero.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        if channels < 2:
            raise ValueError(f"layer: channels={channels} leaves nothing to normalise; 2 or more would fit")
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Normalise."""
        x = x.permute(0, 2, 3, 1)  # (batch, height, width, channels): no copy if channels come last in memory
        x = functional.layer_norm(x, self.weight.shape, self.weight, self.bias, eps=1e-6)
        return x.permute(0, 3, 1, 2)


@register("norm", "layer-chw")
class LayerNormCHW(nn.GroupNorm):
    """Normalise each sample over channels and pixels together.

    (batch, channels, height, width) → same shape.
    Ba et al., Layer Normalization, arXiv:1607.06450.
    Departs from the paper: gain and bias are per channel instead of per value, so that any image size fits.

    Raises:
        ValueError: from `forward`, if a sample has a single value.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(1, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Normalise."""
        _require_several("layer-chw", x, self.num_channels)
        return super().forward(x)


@register("norm", "instance")
class InstanceNorm(nn.Module):
    """Normalise each channel of each sample over its pixels.

    (batch, channels, height, width) → same shape.
    Ulyanov et al., Instance Normalization: The Missing Ingredient for Fast Stylization, arXiv:1607.08022.
    Departs from the paper: no gain and bias unless `affine`.

    Raises:
        ValueError: from `forward`, if the map has a single pixel.
    """

    def __init__(self, channels: int, *, affine: bool = False) -> None:
        super().__init__()
        self.channels = channels
        self.weight = nn.Parameter(torch.ones(channels)) if affine else None
        self.bias = nn.Parameter(torch.zeros(channels)) if affine else None

    def forward(self, x: Tensor) -> Tensor:
        """Normalise."""
        _require_several("instance", x, 1)
        y = functional.group_norm(x.contiguous(), self.channels, self.weight, self.bias)
        if x.stride(1) > 1:
            return y
        # Channels lie last in memory: one channel at a time is slow there, so normalise a copy and put it back.
        return y.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2)


@register("norm", "group")
class GroupNorm(nn.GroupNorm):
    """Normalise each sample over pixels and groups of neighbouring channels.

    (batch, channels, height, width) → same shape.
    Wu and He, Group Normalization, ECCV 2018, arXiv:1803.08494.
    Departs from the paper: none.

    Raises:
        ValueError: if `groups` does not divide `channels`; from `forward`, if a group has a single value.
    """

    def __init__(self, channels: int, *, groups: int = 32) -> None:
        if groups < 1 or channels % groups:
            fit = ", ".join(str(n) for n in range(1, channels + 1) if channels % n == 0)
            raise ValueError(f"group: groups={groups} does not divide {channels} channels; {fit} would fit")
        super().__init__(groups, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Normalise."""
        _require_several("group", x, self.num_channels // self.num_groups)
        return super().forward(x)


def _require_several(name: str, x: Tensor, channels: int) -> None:
    """Refuse to normalise single values: each would become zero, whatever it was."""
    height, width = x.shape[-2:]
    if channels * height * width == 1:
        raise ValueError(
            f"{name}: a {height}×{width} map leaves a single value to normalise, which would always give zero; "
            "larger images, fewer stages or another norm would fit"
        )
