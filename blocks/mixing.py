"""What exchanges information between the groups of a grouped or depthwise convolution."""

from torch import Tensor, nn
from torch.nn import functional

from blocks.catalogue import register
from blocks.convolution import draw


@register("mix", "shuffle")
class ChannelShuffle(nn.Module):
    """Reorder channels so that each group gets some of every group before it.

    (batch, channels, height, width) → same shape.
    Zhang et al., ShuffleNet, CVPR 2018, arXiv:1707.01083.
    Departs from the paper: none; written as (groups, n) → (n, groups), of which the authors' code is the inverse.

    Raises:
        ValueError: if `groups` does not divide `channels`.
    """

    def __init__(self, channels: int, *, groups: int = 2) -> None:
        super().__init__()
        if groups < 1 or channels % groups:
            fit = ", ".join(str(n) for n in range(1, channels + 1) if channels % n == 0)
            raise ValueError(f"shuffle: groups={groups} does not divide {channels} channels; {fit} would fit")
        self.groups = groups

    def forward(self, x: Tensor) -> Tensor:
        """Reorder."""
        return functional.channel_shuffle(x, self.groups)


@register("mix", "pointwise")
class PointwiseConvolution(nn.Conv2d):
    """Combine all channels of each pixel by a 1×1 convolution.

    (batch, channels, height, width) → same shape.
    Lin et al., Network In Network, ICLR 2014, arXiv:1312.4400.
    Departs from the paper: no bias and no non-linearity of its own.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(channels, channels, 1, bias=False)

    def reset_parameters(self) -> None:
        """Draw new weights."""
        draw(self)
