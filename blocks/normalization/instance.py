"""Instance normalisation."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from blocks.catalogue import register, require_several


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
        require_several("instance", x.shape, 1)
        y = functional.group_norm(x.contiguous(), self.channels, self.weight, self.bias)
        if x.stride(1) > 1:
            return y
        # Channels lie last in memory: one channel at a time is slow there, so normalise a copy and put it back.
        return y.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2)
