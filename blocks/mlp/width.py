"""How many channels a block has inside."""

import math


def widened(block: str, channels: int, expansion: float) -> int:
    """Return the number of hidden channels, rounded down.

    Raises:
        ValueError: if there is none or no end of them, naming the smallest expansion of three decimals that leaves one.
    """
    hidden = expansion * channels
    if not 1 <= hidden < math.inf:
        raise ValueError(
            f"{block}: expansion={expansion} makes no whole number of hidden channels of {channels} channels; "
            f"{math.ceil(1000 / channels) / 1000} or more would fit"
        )
    return int(hidden)
