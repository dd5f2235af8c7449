"""Attention between channels, transposed self-attention."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from blocks.attention.heads import count_heads
from blocks.catalogue import register


@register("attention", "mdta")
class TransposedAttention(nn.Module):
    """Replace each channel by averages over the channels of its head, weighted by how well their maps match.

    (batch, channels, height, width) → same shape.
    Zamir et al., Restormer: Efficient Transformer for High-Resolution Image Restoration, CVPR 2022, arXiv:2111.09881.
    Departs from the paper: the learned temperature of a head multiplies its scores, as in the authors' code, where the
    paper divides by it; it starts at one.

    The scores are cosines: each channel of queries and keys is a vector over all pixels, scaled to length one. Their
    number does not grow with the map, so the cost grows with the number of pixels, not with its square.

    Args:
        channels: of input and output.
        heads: how many there are, of 2 channels or more: one alone would only attend to itself.
        head_channels: channels of each, instead of `heads`; with neither there are as many heads as leave each the
            paper's 48 channels or more, and one if there are fewer.
        depthwise: whether a 3×3 convolution of each channel follows the 1×1 convolution that makes queries, keys and
            values; without it no pixel knows its place, and pixels that change places only change places in the output.
        bias: whether the convolutions have biases.

    Raises:
        ValueError: if the heads do not divide the channels or have less than 2 of them, or both `heads` and
            `head_channels` are given; from `forward`, if the map is a single pixel, of which only the sign would count.
    """

    def __init__(
        self,
        channels: int,
        *,
        heads: int | None = None,
        head_channels: int | None = None,
        depthwise: bool = True,
        bias: bool = False,
    ) -> None:
        super().__init__()
        if heads is None and head_channels is None:
            heads = _default_heads(channels)
        self.heads = count_heads("mdta", channels, heads, head_channels)
        if self.heads == channels:
            raise ValueError(
                f"mdta: heads={channels} leaves a single channel to each, which would always get all the weight; "
                "heads of 2 or more channels would fit"
            )
        self.qkv = nn.Conv2d(channels, 3 * channels, 1, bias=bias)
        self.depthwise = (
            nn.Conv2d(3 * channels, 3 * channels, 3, padding=1, groups=3 * channels, bias=bias)
            if depthwise
            else nn.Identity()
        )
        self.temperature = nn.Parameter(torch.ones(self.heads, 1, 1))
        self.project = nn.Linear(channels, channels, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """Attend."""
        batch, channels, height, width = x.shape
        if height * width == 1:
            raise ValueError(
                "mdta: a map of a single pixel leaves only signs to compare; larger images or fewer stages would fit"
            )
        heads = self.depthwise(self.qkv(x)).reshape(batch, 3, self.heads, channels // self.heads, height * width)
        query, key, value = heads.unbind(1)  # (batch, heads, channels of a head, pixels)
        cosines = functional.normalize(query, dim=3) @ functional.normalize(key, dim=3).transpose(2, 3)
        weights = (cosines * self.temperature).softmax(3)  # (batch, heads, channels of a head, channels of a head)
        # Transposed, the product has its channels last in memory already, where the projection reads them.
        mixed = value.transpose(2, 3) @ weights.transpose(2, 3)  # (batch, heads, pixels, channels of a head)
        output: Tensor = self.project(mixed.transpose(1, 2).flatten(2))  # (batch, pixels, channels)
        return output.transpose(1, 2).reshape(x.shape)


def _default_heads(channels: int) -> int:
    """Return the largest number of heads that have 48 channels or more, 1 if there is none."""
    return next(heads for heads in range(max(1, channels // 48), 0, -1) if channels % heads == 0)
