"""Refuse numbers that a block cannot be built with, and name those that would fit.

These compute nothing in a block, so a change here makes no run stale.
"""

import math
from collections.abc import Collection, Sequence

from blocks.catalogue.errors import unknown


def require_known(block: str, option: str, value: object, allowed: Collection[str]) -> None:
    """Refuse a word that is not allowed.

    Raises:
        ValueError: naming the nearest and all that are.
    """
    if value not in allowed:
        raise ValueError(f"{block}: {unknown(option, value, allowed)}")


def require_at_least(block: str, option: str, value: float, least: float) -> None:
    """Refuse a number that is too small.

    Raises:
        ValueError: naming the smallest that fits.
    """
    if not value >= least:  # so that what is no number does not pass
        raise ValueError(f"{block}: {option}={value} is too small; {least} or more would fit")


def require_depths(network: str, depths: Sequence[int]) -> None:
    """Refuse a network without a stage, and a stage without a block.

    Raises:
        ValueError: saying so.
    """
    require_at_least(network, "stages in depths", len(depths), 1)
    require_at_least(network, "depths", min(depths), 1)


def require_odd(block: str, kernel: int, *, option: str = "kernel", middle: str = "pixel") -> None:
    """Refuse a kernel that has no middle.

    Raises:
        ValueError: naming the odd numbers around it.
    """
    if kernel < 1 or kernel % 2 == 0:
        fit = "1 or 3" if kernel < 2 else f"{kernel - 1} or {kernel + 1}"
        raise ValueError(f"{block}: {option}={kernel} has no middle {middle}; {fit} would fit")


def require_dilation(block: str, dilation: int, kernel: int) -> None:
    """Refuse a dilation below 1, or of a kernel that has a single value: it would change nothing.

    Raises:
        ValueError: naming what would fit.
    """
    require_at_least(block, "dilation", dilation, 1)
    if kernel == 1 and dilation > 1:
        raise ValueError(
            f"{block}: dilation={dilation} changes nothing in a kernel of one pixel; "
            "dilation=1 or a kernel of 3 or more would fit"
        )


def require_divisor(block: str, option: str, value: int, *channels: int) -> None:
    """Refuse a number that does not divide the number of channels, or input and output channels if there are two.

    Raises:
        ValueError: naming all that do.
    """
    shared = math.gcd(*channels)
    if value < 1 or shared % value:
        fit = ", ".join(str(n) for n in range(1, shared + 1) if shared % n == 0)
        what = f"{channels[0]} channels" if len(channels) == 1 else "{} input and {} output channels".format(*channels)
        raise ValueError(f"{block}: {option}={value} does not divide {what}; {fit} would fit")


def require_unit(block: str, reduction: int, channels: int) -> None:
    """Refuse a reduction that leaves no hidden unit.

    Raises:
        ValueError: naming those that leave one.
    """
    if not 1 <= reduction <= channels:
        raise ValueError(
            f"{block}: reduction={reduction} leaves no unit for {channels} channels; 1 to {channels} would fit"
        )


def require_side(block: str, shape: Sequence[int], least: int, why: str) -> None:
    """Refuse a map whose smaller side is less than what a block needs.

    Args:
        block: the name of the block.
        shape: of the input, height and width last.
        least: the smallest side that fits.
        why: what needs it, such as "window=7".

    Raises:
        ValueError: naming the map and the smallest side that fits.
    """
    height, width = shape[-2:]
    if min(height, width) < least:
        raise ValueError(
            f"{block}: {why} needs a side of {least} or more, and the map is {height}×{width}; "
            "a larger image, fewer stages or a smaller setting would fit"
        )


def require_pixels(block: str, n_pixels: int) -> None:
    """Refuse to choose among a single pixel: its weight would be one, whatever it was.

    Raises:
        ValueError: if there are no others.
    """
    if n_pixels == 1:
        raise ValueError(
            f"{block}: the map leaves a single pixel to attend to, which would always get all the weight; "
            "larger images or fewer stages would fit"
        )


def require_several(block: str, shape: Sequence[int], channels: int) -> None:
    """Refuse to normalise single values: each would become zero, whatever it was.

    Args:
        block: the name of the norm.
        shape: of the input, height and width last.
        channels: how many of them share a mean.

    Raises:
        ValueError: naming the map.
    """
    height, width = shape[-2:]
    if channels * height * width == 1:
        raise ValueError(
            f"{block}: a {height}×{width} map leaves a single value to normalise, which would always give zero; "
            "larger images, fewer stages or another norm would fit"
        )
