"""How many channels each stage of a network has."""

from collections.abc import Sequence

from blocks.catalogue import require_at_least


def stage_widths(network: str, width: int | Sequence[int], n_stages: int, *, least: int = 1) -> tuple[int, ...]:
    """Return the channels of each stage: `width`, or if that is one number, it doubled from stage to stage.

    Raises:
        ValueError: if there is not one number for each stage, or one is below `least`.
    """
    if not isinstance(width, int):
        return one_for_each(network, "width", width, n_stages, least=least)
    require_at_least(network, "width", width, least)
    return tuple(width * 2**i for i in range(n_stages))


def one_for_each(network: str, option: str, widths: Sequence[int], n: int, *, least: int = 1) -> tuple[int, ...]:
    """Return the widths that an option gives.

    Raises:
        ValueError: if they are not `n`, or one is below `least`.
    """
    if len(widths) != n:
        raise ValueError(
            f"{network}: {option}={list(widths)} has {len(widths)} numbers; {n} would fit, one for each part"
        )
    require_at_least(network, option, min(widths), least)
    return tuple(widths)
