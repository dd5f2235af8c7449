"""How many heads attention has."""

from blocks.catalogue import require_divisor


def count_heads(block: str, channels: int, heads: int | None, head_channels: int | None) -> int:
    """Return the number of heads from their number, or from the channels of each, which are 32 if neither is given.

    Raises:
        ValueError: naming what divides the channels, or that both are given.
    """
    if heads is not None and head_channels is not None:
        raise ValueError(
            f"{block}: heads={heads} and head_channels={head_channels} are both given; one of them would fit"
        )
    if heads is not None:
        require_divisor(block, "heads", heads, channels)
        return heads
    size = 32 if head_channels is None else head_channels
    require_divisor(block, "head_channels", size, channels)
    return channels // size
