"""Layer normalisation of each pixel over its channels."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from blocks.catalogue import register


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
