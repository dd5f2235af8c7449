"""How a table is made to fit a page: over one column or two, in which size, and in how many panels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from reports.latex.style import MARGIN, SIZES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from reports.latex.blocks import Block
    from reports.latex.style import Style

GAPS = (4.0, 3.0, 2.0)  # points on each side of a column, by size
NARROWEST = 62.0  # points for a name that is broken over lines
MOST_ROWS = 38  # of one part of a table; more are no page


@dataclass(frozen=True)
class Layout:
    """How a table is set.

    Attributes:
        wide: whether it spans two columns of text.
        panels: the blocks of each part, one below the other.
        names: of blocks whose cells are broken over lines, the width in points.
    """

    wide: bool
    size: str
    gap: float
    panels: tuple[tuple[int, ...], ...]
    names: Mapping[int, float]


def layout(blocks: Sequence[Block], style: Style) -> Layout:
    """Return the first layout in which a table fits, from a column to two, from a larger size to a smaller.

    What does not fit even then is set in panels, each with the names of the rows; long names are broken over lines.
    """
    everything = tuple(range(len(blocks)))
    places = [(style.column, False), (style.text, True)] if style.two_columns else [(style.text, False)]
    for room, wide in places:
        # A column of text is no place for the smallest size while there is the page.
        for i, (size, scale) in enumerate(SIZES[:2] if not wide and style.two_columns else SIZES):
            if _total(blocks, everything, scale, GAPS[i], {}) <= room:
                return Layout(wide, size, GAPS[i], (everything,), {})
    size, scale, gap = SIZES[1][0], SIZES[1][1], GAPS[1]
    names = _broken(blocks, room, scale)
    leading = [
        i for i, block in enumerate(blocks) if block.words is not None and all(b.words is not None for b in blocks[:i])
    ]
    return Layout(wide, size, gap, _panels(blocks, leading, room, scale, gap, names), names)


def _total(
    blocks: Sequence[Block], panel: Sequence[int], scale: float, gap: float, names: Mapping[int, float]
) -> float:
    widths = sum(names.get(i, blocks[i].width * scale * MARGIN) for i in panel)
    return widths + 2 * gap * (sum(blocks[i].n for i in panel) - 1)


def _broken(blocks: Sequence[Block], room: float, scale: float) -> dict[int, float]:
    """Return the names that take more than their share of the width, with what they may take."""
    words = [i for i, block in enumerate(blocks) if block.words is not None]
    share = max(0.45 * room / max(len(words), 1), NARROWEST)
    return {i: share for i in words if blocks[i].width * scale * MARGIN > share}


def _panels(
    blocks: Sequence[Block], leading: Sequence[int], room: float, scale: float, gap: float, names: Mapping[int, float]
) -> tuple[tuple[int, ...], ...]:
    found: list[list[int]] = [[*leading]]
    for i in range(len(leading), len(blocks)):
        if len(found[-1]) > len(leading) and _total(blocks, [*found[-1], i], scale, gap, names) > room:
            found.append([*leading])
        found[-1].append(i)
    return tuple(map(tuple, found))
