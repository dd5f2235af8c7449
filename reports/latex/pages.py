"""How a table that is taller than a page is continued on further ones."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from reports.latex.widths import width

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reports.latex.layout import Layout
    from reports.tables import Table

TALLEST = 590.0  # points of a float; the pages of all styles are higher
BODY, NOTE = 12.0, 9.5  # points from line to line of a caption and of a note
NOTE_SCALE = 0.86  # of what stands in notes, over 10 points
RULES = 30.0  # points that rules and the space around them take in a panel
SPACE = 4.0  # points before a group of rows
RAGGED = 1.08  # of a line that is not filled


@dataclass(frozen=True)
class Page:
    """The rows and the notes of a part of a table."""

    rows: range
    notes: tuple[str, ...] = ()


def pages(table: Table, made: Layout) -> list[Page]:
    """Return the parts that a table is set in: one if it fits a page; rows end where a group of rows does if near."""
    about = f"{table.question} {table.caption} {table.legend}"
    first, further = (_lines(text, made.room) * BODY for text in (about, f"(continued) {table.question}"))
    parts = _rows(table, made, first, further)
    taken = (first if len(parts) == 1 else further) + _height(table, made, parts[-1])
    groups: list[list[str]] = [[]]
    for note in table.notes:
        needed = _lines(note, made.room / NOTE_SCALE) * NOTE
        if taken + needed > TALLEST:
            groups.append([])
            taken = further
        groups[-1].append(note)
        taken += needed
    found = [*map(Page, parts[:-1]), Page(parts[-1], tuple(groups[0]))]
    return [*found, *(Page(range(0), tuple(group)) for group in groups[1:])]


def _rows(table: Table, made: Layout, first: float, further: float) -> list[range]:
    found, start, taken = [], 0, first
    for row in range(len(table.rows)):
        end = row
        if row > start and taken + _height(table, made, range(start, row + 1)) > TALLEST:
            middle = (start + row) // 2
            end = max((one for one in table.breaks if middle < one <= row), default=row)
            found.append(range(start, end))
            start, taken = end, further
    return [*found, range(start, len(table.rows))]


def _height(table: Table, made: Layout, rows: range) -> float:
    """Return how high some rows are in all panels together, with their headers."""
    return sum(_heights(table, made, rows))


def _heights(table: Table, made: Layout, rows: range) -> Iterator[float]:
    body = sum(made.lines_of(row) * made.baseline + (SPACE if row in table.breaks else 0.0) for row in rows)
    for panel in made.panels:
        groups = max(len(made.group(members)) for members in made.grouped(panel))
        header = max(len(made.blocks[i].header) for i in panel)
        yield RULES + (groups + header) * made.baseline + body


def _lines(text: str, room: float) -> int:
    return math.ceil(RAGGED * width(text) / room)
