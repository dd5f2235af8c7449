"""Channel shuffle."""

from torch import Tensor, nn
from torch.nn import functional

from blocks.catalogue import register, require_divisor


@register("mix", "shuffle")
class ChannelShuffle(nn.Module):
    """Reorder channels so that each group gets some of every group before it.

    (batch, channels, height, width) → same shape.
    Zhang et al., ShuffleNet, CVPR 2018, arXiv:1707.01083.
    Departs from the paper: none; written as (groups, n) → (n, groups), of which the authors' code is the inverse.

    Args:
        channels: of input and output.
        groups: how many there are; if not given 2, or as many as the convolutions of shufflenet-v1 have.

    Raises:
        ValueError: if `groups` does not divide `channels`.
    """

    def __init__(self, channels: int, *, groups: int | None = None) -> None:
        super().__init__()
        self.groups = 2 if groups is None else groups
        require_divisor("shuffle", "groups", self.groups, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Reorder."""
        return functional.channel_shuffle(x, self.groups)
