"""Dual attention, over positions and over channels."""

from typing import Literal

import torch
from torch import Tensor, nn

from blocks.catalogue import register, require_at_least, require_known, require_pixels, require_unit

PARTS: dict[str, tuple[Literal["position", "channel"], ...]] = {
    "both": ("position", "channel"),
    "position": ("position",),
    "channel": ("channel",),
}
SIGNS = {"unlike": -1.0, "like": 1.0}


@register("attention", "danet")
class DualAttention(nn.Module):
    """Add to each value what its pixel draws from all pixels and what its channel draws from all channels.

    (batch, channels, height, width) → same shape.
    Fu et al., Dual Attention Network for Scene Segmentation, CVPR 2019, arXiv:1809.02983.
    Departs from the paper: both parts see the same input, which is counted once: x + position(x) + channel(x). In the
    paper each part adds its own input, made by a convolution of its own, and the sums are added: see network `danet`.

    Both parts start at zero, so the block starts as the identity.

    Args:
        channels: of input and output.
        parts: which of the two there are.
        reduction: what the channels of queries and keys are divided by; only for positions.
        affinity: what a channel draws from; only for channels. unlike: those whose product with it is small, by the
            softmax of max(E) - E, as in the authors' code, which their published networks were trained with. like:
            those whose product with it is large, by the softmax of E, as the paper prints it.

    Raises:
        ValueError: if `reduction` leaves no channel, there is a single channel to attend to, a word is not known, or an
            option is for a part that is not there; from `forward`, if there is a single pixel to attend to.
    """

    def __init__(
        self,
        channels: int,
        *,
        parts: Literal["both", "position", "channel"] = "both",
        reduction: int = 8,
        affinity: Literal["unlike", "like"] = "unlike",
    ) -> None:
        super().__init__()
        require_known("danet", "parts", parts, PARTS)
        require_known("danet", "affinity", affinity, SIGNS)
        if parts == "channel" and reduction != 8:
            raise ValueError(f"danet: reduction={reduction} is of the position part; parts=both or position would fit")
        if parts == "position" and affinity != "unlike":
            raise ValueError(f"danet: affinity={affinity} is of the channel part; parts=both or channel would fit")
        self.parts = nn.ModuleDict()
        if "position" in PARTS[parts]:
            require_unit("danet", reduction, channels)
            self.parts["position"] = PositionAttention(channels, channels // reduction)
        if "channel" in PARTS[parts]:
            require_at_least("danet", "channels", channels, 2)
            self.parts["channel"] = ChannelAttention(SIGNS[affinity])

    def forward(self, x: Tensor) -> Tensor:
        """Add what each part draws."""
        output: Tensor = sum((part(x) for part in self.parts.values()), x)
        return output


class PositionAttention(nn.Module):
    """Average over all pixels, by how well the query of one fits the key of the other, and scale the result.

    (batch, channels, height, width) → same shape.
    """

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.query = nn.Conv2d(channels, hidden, 1)
        self.key = nn.Conv2d(channels, hidden, 1)
        self.value = nn.Conv2d(channels, channels, 1)
        self.gamma = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        """Return what the pixels draw from each other."""
        require_pixels("danet", x.shape[2:].numel())
        query, key, value = (layer(x).flatten(2) for layer in (self.query, self.key, self.value))
        weights = (query.mT @ key).softmax(-1)  # (batch, pixels, pixels)
        drawn: Tensor = weights @ value.mT  # (batch, pixels, channels)
        return self.gamma * drawn.mT.reshape(x.shape)


class ChannelAttention(nn.Module):
    """Average over all channels, by their products over the pixels, and scale the result.

    (batch, channels, height, width) → same shape.
    """

    def __init__(self, sign: float) -> None:
        super().__init__()
        self.sign = sign
        self.gamma = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        """Return what the channels draw from each other."""
        pixels = x.flatten(2).mT  # (batch, pixels, channels)
        products = pixels.mT @ pixels  # (batch, channels, channels)
        weights = (self.sign * products).softmax(-1)
        return self.gamma * (pixels @ weights.mT).mT.reshape(x.shape)
