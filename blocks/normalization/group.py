"""Group normalisation."""

from torch import Tensor, nn

from blocks.catalogue import register, require_divisor, require_several


@register("norm", "group")
class GroupNorm(nn.GroupNorm):
    """Normalise each sample over pixels and groups of neighbouring channels.

    (batch, channels, height, width) → same shape.
    Wu and He, Group Normalization, ECCV 2018, arXiv:1803.08494.
    Departs from the paper: none.

    Raises:
        ValueError: if `groups` does not divide `channels`; from `forward`, if a group has a single value.
    """

    def __init__(self, channels: int, *, groups: int = 32) -> None:
        require_divisor("group", "groups", groups, channels)
        super().__init__(groups, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Normalise."""
        require_several("group", x.shape, self.num_channels // self.num_groups)
        return super().forward(x)
