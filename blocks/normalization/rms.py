"""Root mean square normalisation."""

import torch
from torch import Tensor, nn

from blocks.catalogue import register, require_at_least


@register("norm", "rms")
class RMSNorm(nn.Module):
    """Divide each pixel by the root mean square of its channels.

    (batch, channels, height, width) → same shape.
    Zhang and Sennrich, Root Mean Square Layer Normalization, NeurIPS 2019, arXiv:1910.07467.
    Departs from the paper: 1e-6 added to the mean square, so that a pixel of zeros stays zero.

    A gain per channel, no bias.

    Raises:
        ValueError: if `channels` is less than 2: only the sign of one value would remain.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        require_at_least("rms", "channels", channels, 2)
        self.channels = channels
        self.weight = nn.Parameter(torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Normalise."""
        # Not by `mean`: its gradient goes over the whole map once more.
        square = x.square().sum(1, keepdim=True) / self.channels  # (batch, 1, height, width)
        return x * (square + 1e-6).rsqrt() * self.weight[:, None, None]
