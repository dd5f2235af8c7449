"""Efficient channel attention."""

import math

from torch import Tensor, nn

from blocks.catalogue import register, require_odd
from blocks.squeeze import average


@register("attention", "eca")
class EfficientChannel(nn.Module):
    """Scale each channel by a gate computed from the averages of its neighbours.

    (batch, channels, height, width) → same shape.
    Wang et al., ECA-Net, CVPR 2020, arXiv:1910.03151.
    Departs from the paper: none; without `kernel` its formula sets the size, while the authors' weights use sizes by hand.

    Args:
        channels: of input and output.
        kernel: how many neighbouring channels a gate sees, itself among them; from `channels` by the formula if not given.

    Raises:
        ValueError: if `kernel` is not odd, or reaches further than all channels.
    """

    def __init__(self, channels: int, *, kernel: int | None = None) -> None:
        super().__init__()
        size = _kernel_for(channels) if kernel is None else kernel
        require_odd("eca", size, middle="channel")
        widest = 2 * channels - 1
        if size > widest:
            raise ValueError(f"eca: kernel={size} reaches beyond all of {channels} channels; 1 to {widest} would fit")
        self.conv = nn.Conv1d(1, 1, size, padding=size // 2, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Weigh the channels."""
        gate: Tensor = self.conv(average(x)[:, None])[:, 0].sigmoid()  # (batch, channels)
        return x * gate[:, :, None, None]


def _kernel_for(channels: int) -> int:
    """Return the paper's kernel size: log2(channels) / 2 + 1/2 cut to an integer, then the odd number at or above it."""
    size = int(abs(math.log2(channels) / 2 + 1 / 2))
    return size if size % 2 else size + 1
