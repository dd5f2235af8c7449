"""Group normalisation."""

from torch import Tensor, nn

from blocks.catalogue import register, require_divisor, require_several


@register("norm", "group")
class GroupNorm(nn.GroupNorm):
    """Normalise each sample over pixels and groups of neighbouring channels.

    (batch, channels, height, width) → same shape.
    Wu and He, Group Normalization, ECCV 2018, arXiv:1803.08494.
    Departs from the paper: none.

    `groups` says how many groups there are, `per_group` how many channels each has; without both there are 32 groups.

    Raises:
        ValueError: if `groups` or `per_group` does not divide `channels`, or both are given; from `forward`, if a group
            has a single value.
    """

    def __init__(self, channels: int, *, groups: int | None = None, per_group: int | None = None) -> None:
        super().__init__(_number(channels, groups, per_group), channels)

    def forward(self, x: Tensor) -> Tensor:
        """Normalise."""
        require_several("group", x.shape, self.num_channels // self.num_groups)
        return super().forward(x)


def _number(channels: int, groups: int | None, per_group: int | None) -> int:
    if per_group is None:
        number = 32 if groups is None else groups
        require_divisor("group", "groups", number, channels)
        return number
    if groups is not None:
        raise ValueError(f"group: groups={groups} and per_group={per_group} both set the groups; one of them would fit")
    require_divisor("group", "per_group", per_group, channels)
    return channels // per_group
