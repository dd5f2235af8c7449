"""The columns of a table in LaTeX: how each is set, and how wide it is."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from reports.formats import MISSING
from reports.latex.escape import escape
from reports.latex.widths import width

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pandas as pd

    from reports.tables import Column, Table

SCORE = re.compile(r"([−+]?)([\d,]+)(\.\d+)?(?: ± ([\d,]+)(\.\d+)?)?( †)?")
INTERVAL = re.compile(r"(\S+) (\[.*\])")
ARROWS = {"higher": r" $\uparrow$", "lower": r" $\downarrow$"}
COLOURS = {"better": r"\ablationup", "worse": r"\ablationdown", "unsure": r"\ablationns"}
TINTS = {"better": r"\cellcolor{ablationbetter!12}", "worse": r"\cellcolor{ablationworse!12}"}
MARKS = ("*", "≈")
COSTS = {"params": ("params", 3), "MACs": ("macs", 3), "ms": ("latency_ms", 3)}  # column of raw figures, digits
UNITS = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""))
DAGGER = r"{$^\dagger$}"
OPENS = re.compile(r"\s+(?=[\[(])|(?<=\w)(?=\()")
PIECES = re.compile(r"[^,=_/.:-]*[,=_/.:-]+|[^,=_/.:-]+")
NARROWEST_HEADER, HEADER_WORD = 24.0, 56.0  # points of a line of a header, and of a word before it is broken
SMALLER = 0.93  # of an interval, which is set in the smallest size
MOST_DIGITS = 9
PLUS_MINUS = 12.3  # points at 10 pt, with the space around it


@dataclass(frozen=True)
class Block:
    r"""A column of a table, of one or two columns of a `tabular`.

    Attributes:
        spec: for the `tabular`.
        header: the lines of the header, escaped.
        cells: escaped; with an `&` where there are two columns.
        width: natural, at 10 points, in points.
        n: columns of the `tabular`.
        text: of each cell, where it may be broken over lines; empty where it may not.
        joined: whether it says something of the block before it, and stays beside that.
    """

    spec: str
    header: tuple[str, ...]
    cells: tuple[str, ...]
    width: float
    group: str = ""
    n: int = 1
    text: tuple[str, ...] = ()
    joined: bool = False

    def headed(self) -> str:
        """Return the header as a cell."""
        if not any(self.header):
            return "&" * (self.n - 1)
        text = stacked(self.header, "l" if self.text else "c")
        if self.n > 1:
            return rf"\multicolumn{{{self.n}}}{{c}}{{{text}}}"
        return f"{{{text}}}" if self.spec.startswith("S") else text


def stacked(lines: Sequence[str], place: str = "c") -> str:
    """Return lines of a header, escaped, as one cell."""
    text = r"\\".join(lines)
    return rf"\makecell[b{place}]{{{text}}}" if len(lines) > 1 else text


def row_numbers(blocks: Sequence[Block]) -> Block:
    """Return a block that numbers the rows of others."""
    numbers = tuple(str(i) for i in range(1, len(blocks[0].cells) + 1))
    return Block("r", ("row",), numbers, max(map(width, ("row", *numbers))))


def blocks(table: Table) -> list[Block]:
    """Return the columns of a table; one that says the same of all rows, and stands in the caption, is left out."""
    shown = [column for column in table.body if not (column.header == "n" and len(set(column.cells)) == 1)]
    return [_block(table, column) for column in shown]


def _block(table: Table, column: Column) -> Block:
    if column.kind == "words":
        return _words(table, column)
    if column.kind == "score":
        return _scores(column)
    if column.kind == "difference" and any(INTERVAL.fullmatch(cell) for cell in column.cells):
        return _intervals(column)
    raw = COSTS.get(column.header) if column.group == "cost" else None
    if raw is not None and raw[0] in table.frame.columns and len(table.frame) == len(column.cells):
        return _costs(column, table.frame[raw[0]])
    return _plain(column)


def _words(table: Table, column: Column) -> Block:
    cells = [escape(cell) for cell in column.cells]
    spans = _spans(table, column)
    for row, n in spans.items():
        cells[row] = rf"\multirow[t]{{{n}}}{{*}}{{{cells[row]}}}" if n > 1 else cells[row]
    if table.reference_row is not None and column is next(one for one in table.body if one.kind == "words"):
        cells[table.reference_row] = rf"\textit{{{cells[table.reference_row]}}}"
    natural = max(map(width, column.cells), default=0.0)
    header = lines(column.header, min(natural, HEADER_WORD))
    natural = max(natural, *map(width, header))
    return Block("l", tuple(map(escape, header)), tuple(cells), natural, column.group, text=tuple(column.cells))


def _spans(table: Table, column: Column) -> dict[int, int]:
    """Return the rows at which a name stands that holds for the empty cells below, too, with how many rows it holds."""
    if "" not in column.cells or not table.breaks:
        return {}
    starts = [0, *sorted(table.breaks)]
    return {start: end - start for start, end in zip(starts, [*starts[1:], len(column.cells)], strict=True)}


def _scores(column: Column) -> Block:
    parts = [SCORE.fullmatch(cell) for cell in column.cells]
    found = [part for part in parts if part]
    # siunitx counts the digits of a spread from its first to the last decimal, and to 9.
    spreads = [_digits(part[4], part[5]) for part in found if part[4] is not None]
    if not found or max(map(len, spreads), default=0) > MOST_DIGITS:
        return _plain(column)
    integers, decimals = (
        max(len(part[2].replace(",", "")) for part in found),
        max(len(part[3] or ".") - 1 for part in found),
    )
    sign = "-" if any(part[1] for part in found) else ""
    table_format = f"{sign}{integers}.{decimals}" + (f"({max(map(len, spreads))})" if spreads else "")
    after = rf",table-space-text-post={DAGGER}" if any(part[6] for part in found) else ""
    cells = [
        _score(cell, part, column.emphasis.get(i))
        for i, (cell, part) in enumerate(zip(column.cells, parts, strict=True))
    ]
    natural = width(f"{sign}{'0' * integers}.{'0' * decimals}") + (5.0 if after else 0.0)
    if spreads:
        natural += PLUS_MINUS + max(width(f"{part[4]}{part[5] or ''}") for part in found if part[4] is not None)
    return _headed(column, f"S[table-format={table_format}{after}]", cells, natural)


def _digits(integer: str, decimals: str | None) -> str:
    return f"{integer.replace(',', '')}{(decimals or '.')[1:]}".lstrip("0") or "0"


def _score(cell: str, part: re.Match[str] | None, emphasis: str | None) -> str:
    if part is None:
        return f"{{{escape(cell)}}}"
    sign, integer, decimals, spread, spread_decimals, dagger = part.groups()
    number = f"{sign.replace('−', '-')}{integer.replace(',', '')}{decimals or ''}"
    if spread is not None:
        number += f"({_digits(spread, spread_decimals)})"
    number += DAGGER if dagger else ""
    if emphasis == "best":
        return rf"\ablationbest {number}"
    if emphasis == "second":
        return rf"{{\ablationsecond{{{escape(cell.removesuffix(' †'))}}}}}" + (DAGGER if dagger else "")
    return number


def _intervals(column: Column) -> Block:
    """Return differences in two columns, so that those and their intervals stand below each other."""
    cells, left, right = [], 0.0, 0.0
    for i, cell in enumerate(column.cells):
        colour = COLOURS.get(column.emphasis.get(i, ""), "")
        part = INTERVAL.fullmatch(cell)
        if part is None and re.fullmatch(r"[−+\d.,]+", cell) is None:
            cells.append(rf"\multicolumn{{2}}{{c}}{{{_dash(cell)}}}")
            continue
        value, interval = part.groups() if part else (cell, "")
        left, right = max(left, width(value)), max(right, SMALLER * width(interval))
        shown = f"{colour}{{{escape(value)}}}" if colour else escape(value)
        cells.append(f"{shown} & " + (rf"\ablationci{{{escape(interval)}}}" if interval else ""))
    natural = max(left + right + 3.0, *(width(cell) for cell in column.cells if not INTERVAL.fullmatch(cell)), 0.0)
    return _headed(column, r"r@{\hspace{3pt}}l", cells, natural, n=2)


def _costs(column: Column, raw: pd.Series) -> Block:
    """Return costs in one unit for the whole column, with as many decimals as tell the different ones apart."""
    values = [float(value) for value in raw]
    known = [value for value in values if math.isfinite(value)]
    if not known:
        return _plain(column)
    smallest = min((value for value in known if value > 0), default=1.0)
    scale, unit = next((one for one in UNITS if smallest >= one[0]), UNITS[-1])
    if column.header == "ms":
        scale, unit = 1.0, "ms"
    scaled = [value / scale for value in known]
    whole = all(value == round(value) for value in scaled)
    decimals = 0 if whole else min(max(2 - math.floor(math.log10(smallest / scale)), 0), 3)
    while decimals < 3 and not whole and len({f"{value:.{decimals}f}" for value in scaled}) < len(set(scaled)):
        decimals += 1
    cells = [f"{value / scale:.{decimals}f}" if math.isfinite(value) else f"{{{_dash(MISSING)}}}" for value in values]
    integers = len(f"{max(scaled):.{decimals}f}".split(".", maxsplit=1)[0])
    name = {"ms": "latency"}.get(column.header, column.header)
    spec = f"S[table-format={integers}.{decimals}]"
    natural = width("0" * integers + ("." + "0" * decimals if decimals else ""))
    return _headed(column, spec, cells, natural, name=f"{name} ({unit})" if unit else name)


def _plain(column: Column) -> Block:
    starred = any(cell.endswith(MARKS) for cell in column.cells)
    cells = []
    for i, cell in enumerate(column.cells):
        emphasis = column.emphasis.get(i, "")
        shown = _dash(cell)
        if emphasis in COLOURS and cell != MISSING:
            shown = f"{COLOURS[emphasis]}{{{shown}}}"
        if starred and not cell.endswith(MARKS):
            shown += r"\phantom{*}"  # figures with and without a star stand below each other
        elif emphasis in TINTS and starred:
            shown = f"{TINTS[emphasis]}{shown}"
        shown = rf"\ablationsecond{{{shown}}}" if emphasis == "second" else shown
        cells.append(rf"\ablationbest {shown}" if emphasis == "best" else shown)
    spec = "c" if column.kind == "mark" else "r"
    return _headed(column, spec, cells, max(map(width, column.cells), default=0.0) + (5.0 if starred else 0.0))


def _headed(
    column: Column, spec: str, cells: Sequence[str], natural: float, *, n: int = 1, name: str | None = None
) -> Block:
    """Break a header that is wider than its column."""
    found = lines(name if name is not None else column.header, natural)
    arrow = ARROWS.get(column.better or "", "")
    wide = max(map(width, found))
    if arrow:
        wide = max(wide, width(found[-1]) + 8.0)
    header = [escape(one) for one in found]
    header[-1] += arrow
    joined = column.kind == "probability"
    return Block(spec, tuple(header), tuple(cells), max(natural, wide), column.group, n, joined=joined)


def lines(text: str, room: float) -> tuple[str, ...]:
    """Return text in lines: before brackets and at spaces first, then as names may be broken, then anywhere."""
    if width(text) <= room:
        return (text,)
    parts = OPENS.split(text)
    longest = max(width(word) for part in parts for word in part.split())
    room = max(room, NARROWEST_HEADER, min(longest, HEADER_WORD))
    return tuple(line for part in parts for line in _filled(part, room))


def _filled(text: str, room: float) -> list[str]:
    found, line = [], ""
    for word in text.split():
        for i, piece in enumerate([word] if width(word) <= room else _pieces(word, room)):
            joined = f"{line} {piece}" if line and i == 0 else line + piece
            if line and width(joined) > room:
                found.append(line)
                joined = piece
            line = joined
    return [*found, line] if line or not found else found


def _pieces(word: str, room: float) -> Iterator[str]:
    for piece in PIECES.findall(word):
        start = 0
        for end in range(1, len(piece) + 1):
            if end - start > 1 and width(piece[start:end]) > room:
                yield piece[start : end - 1]
                start = end - 1
        yield piece[start:]


def _dash(cell: str) -> str:
    return "--" if cell == MISSING else escape(cell)
