"""Layer normalisation that keeps the mean."""

import torch
from torch import Tensor, nn

from blocks.catalogue import register, require_at_least


@register("norm", "bias-free-layer")
class BiasFreeLayerNorm(nn.Module):
    """Divide each pixel by the standard deviation of its channels and leave its mean.

    (batch, channels, height, width) → same shape.
    Zamir et al., Restormer, CVPR 2022, arXiv:2111.09881.
    Departs from the paper: none; as the type BiasFree of the authors' code, which they use to remove Gaussian noise.

    A gain per channel, no bias; the variance is taken around the mean, and 1e-5 added to it.

    Raises:
        ValueError: if `channels` is less than 2: one value has no deviation.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        require_at_least("bias-free-layer", "channels", channels, 2)
        self.channels = channels
        self.weight = nn.Parameter(torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Normalise."""
        # Not by `mean` or `var`: their gradients go over the whole map once more.
        mean = x.sum(1, keepdim=True) / self.channels  # (batch, 1, height, width)
        variance = (x - mean).square().sum(1, keepdim=True) / self.channels
        return x * (variance + 1e-5).rsqrt() * self.weight[:, None, None]
