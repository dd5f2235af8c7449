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
        self.weight: Tensor
        self.bias: Tensor
        if affine:
            self.weight = nn.Parameter(torch.ones(channels))
            self.bias = nn.Parameter(torch.zeros(channels))
        else:
            # Without a gain batch norm would keep the mean of a map of half precision in half precision.
            self.register_buffer("weight", torch.ones(channels), persistent=False)
            self.register_buffer("bias", torch.zeros(channels), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Normalise."""
        require_several("instance", x.shape, 1)
        if x.stride(1) > 1:
            return functional.group_norm(x.contiguous(), self.channels, self.weight, self.bias)
        # Channels lie last in memory, where group norm is slow; each channel of each sample is one of a batch norm.
        batch, channels, height, width = x.shape
        weight, bias = self.weight.repeat(batch), self.bias.repeat(batch)
        x = x.permute(2, 3, 0, 1).reshape(height * width, batch * channels)
        x = functional.batch_norm(x, None, None, weight, bias, training=True)
        x = x.view(height, width, batch, channels).permute(2, 0, 1, 3).contiguous()
        return x.permute(0, 3, 1, 2)
