"""How a table is made to fit the width of a page: over one column or two, in which size, in how many panels."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import groupby, takewhile
from typing import TYPE_CHECKING

from reports.latex.blocks import lines, row_numbers
from reports.latex.widths import MARGIN, SIZES, width

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from reports.latex.blocks import Block
    from reports.styles import Style

# By size, in points: what is left on each side of a column, and from line to line.
GAPS, BASELINES = (4.0, 3.0, 2.0), (11.0, 9.5, 8.0)
RAGGED = 1.3  # lines that names need, over those that they would fill
LONG_NAME, NARROWEST = 84.0, 62.0  # points: what is longer may be broken over lines, and into no less than this


@dataclass(frozen=True)
class Layout:
    """How a table is set.

    Attributes:
        panels: the blocks of each panel, one below the other.
        names: of blocks whose cells are broken over lines, the width in points.
        wide: whether it spans two columns of text.
        room: the width that there is.
        scale: of the size, over 10 points.
        gap: points on each side of a column.
        baseline: points from line to line.
    """

    blocks: Sequence[Block]
    panels: tuple[tuple[int, ...], ...]
    names: Mapping[int, float]
    wide: bool
    room: float
    size: str = ""
    scale: float = 1.0
    gap: float = 0.0
    baseline: float = 12.0

    def sized(self, step: int) -> Layout:
        """Return this layout in one of the sizes, the largest first."""
        size, scale = SIZES[step]
        return replace(self, size=size, scale=scale, gap=GAPS[step], baseline=BASELINES[step])

    def inner(self, members: Sequence[int]) -> float:
        """Return how wide neighbouring blocks are, in points."""
        widths = sum(self.names.get(i, self.blocks[i].width * self.scale * MARGIN) for i in members)
        return widths + 2 * self.gap * (sum(self.blocks[i].n for i in members) - 1)

    def group(self, members: Sequence[int]) -> tuple[str, ...]:
        """Return the lines of the header over neighbouring blocks."""
        return lines(self.blocks[members[0]].group, max(self.inner(members) / self.scale, LONG_NAME))

    def total(self, panel: Iterable[int]) -> float:
        """Return how wide a panel is, in points."""
        found = [(self.inner(one), max(map(width, self.group(one)))) for one in self.grouped(panel)]
        return sum(max(inner, group * self.scale * MARGIN) for inner, group in found) + 2 * self.gap * (len(found) - 1)

    def grouped(self, panel: Iterable[int]) -> list[list[int]]:
        """Return the blocks of a panel, those of a group together."""
        return [list(members) for _, members in groupby(panel, key=lambda i: self.blocks[i].group)]

    def lines_of(self, row: int) -> int:
        """Return how many lines a row takes, where names are broken over several."""
        broken = [
            math.ceil(RAGGED * self.scale * width(self.blocks[i].text[row]) / room) for i, room in self.names.items()
        ]
        return max([1, *broken])


def layout(blocks: Sequence[Block], style: Style) -> Layout:
    """Return the first layout in which a table fits, from a column to two, from a larger size to a smaller.

    What does not fit even then has long names broken over lines, and what does not then is set in panels, each with
    the names of the rows, or where these take too much of the width, with their numbers.
    """
    everything, leading = tuple(range(len(blocks))), _leading(blocks)
    page = Layout(blocks, (everything,), {}, wide=style.two_columns, room=style.text)
    pages = [page.sized(i) for i in range(len(SIZES))]
    # A column of text is no place for the smallest size while there is the page.
    columns = [replace(one, wide=False, room=style.column) for one in pages[:-1]] if style.two_columns else []
    share = max(0.3 * style.text, LONG_NAME)
    broken = [replace(one, names=_broken(one, leading, limit=LONG_NAME, share=share)) for one in pages[1:]]
    for one in [*columns, *pages, *broken]:
        if one.total(everything) <= one.room:
            return one
    return _in_panels(pages[1], leading)


def _in_panels(made: Layout, leading: Sequence[int]) -> Layout:
    for share in (math.inf, max(0.45 * made.room / len(leading), NARROWEST)):
        named = replace(made, names=_broken(made, leading, limit=share, share=share))
        if named.total(leading) <= made.room / 2:
            return _filled(named, leading)
    if made.blocks[0].text:
        made = replace(made, blocks=[row_numbers(made.blocks), *made.blocks])
        leading = [i + 1 for i in leading]
    return _filled(replace(made, names=_broken(made, leading, limit=LONG_NAME, share=LONG_NAME)), [0])


def _filled(made: Layout, leading: Sequence[int]) -> Layout:
    """Fill panels; a group of blocks stays together where it can."""
    panels: list[list[int]] = [[*leading]]
    for unit in _units(made, leading):
        if len(panels[-1]) > len(leading) and made.total([*panels[-1], *unit]) > made.room:
            panels.append([*leading])
        panels[-1] += unit
    return replace(made, panels=tuple(map(tuple, panels)))


def _units(made: Layout, leading: Sequence[int]) -> list[list[int]]:
    """Return the blocks that stay together: those of a group, if they fit, and a p-value with its difference."""
    units: list[list[int]] = []
    for members in made.grouped(range(len(leading), len(made.blocks))):
        if made.blocks[members[0]].group and made.total([*leading, *members]) <= made.room:
            units.append(members)
            continue
        for i in members:
            if made.blocks[i].joined and units and made.total([*leading, *units[-1], i]) <= made.room:
                units[-1].append(i)
            else:
                units.append([i])
    return units


def _leading(blocks: Sequence[Block]) -> list[int]:
    """Return the blocks that name the rows: those of words, and numbers before them."""
    named = next((i for i, block in enumerate(blocks) if block.text), 0)
    after = takewhile(lambda i: bool(blocks[i].text), range(named, len(blocks)))
    return [*range(named), *after] or [0]


def _broken(made: Layout, leading: Sequence[int], *, limit: float, share: float) -> dict[int, float]:
    """Return the names that are longer than a limit, with the share of the width that they get."""
    return {i: share for i in leading if made.blocks[i].text and made.inner([i]) > limit}
