"""The columns of a table in LaTeX: how each is set, and how wide it is."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from reports.formats import MISSING
from reports.latex.escape import escape
from reports.latex.style import width

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from reports.tables import Column, Table

SCORE = re.compile(r"([−+]?)([\d,]+)(\.\d+)?(?: ± ([\d,]+)(\.\d+)?)?( †)?")
INTERVAL = re.compile(r"(\S+) (\[.*\])")
ARROWS = {"higher": r" $\uparrow$", "lower": r" $\downarrow$"}
COLOURS = {"better": r"\ablationup", "worse": r"\ablationdown", "unsure": r"\ablationns"}
COSTS = {"params": ("params", 3), "MACs": ("macs", 3), "ms": ("latency_ms", 3)}  # column of raw figures, digits
UNITS = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""))
DAGGER = r"{$^\dagger$}"
SMALLER = 0.93  # of an interval, which is set in the smallest size
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
        words: the text of each cell where lines may be broken; None where they may not.
    """

    spec: str
    header: tuple[str, ...]
    cells: tuple[str, ...]
    width: float
    group: str = ""
    n: int = 1
    words: tuple[str, ...] | None = None

    def headed(self) -> str:
        """Return the header as a cell."""
        if not any(self.header):
            return "&" * (self.n - 1)
        place = "l" if self.words is not None else "c"
        lines = r"\\".join(self.header)
        text = rf"\makecell[b{place}]{{{lines}}}" if len(self.header) > 1 else lines
        if self.n > 1:
            return rf"\multicolumn{{{self.n}}}{{c}}{{{text}}}"
        return f"{{{text}}}" if self.spec.startswith("S") else text


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
    natural = max([width(column.header), *map(width, column.cells)], default=0.0)
    return Block("l", (escape(column.header),), tuple(cells), natural, column.group, words=tuple(column.cells))


def _spans(table: Table, column: Column) -> dict[int, int]:
    """Return the rows at which a name stands that holds for the empty cells below, too, with how many rows it holds."""
    if "" not in column.cells or not table.breaks:
        return {}
    starts = [0, *sorted(table.breaks)]
    return {start: end - start for start, end in zip(starts, [*starts[1:], len(column.cells)], strict=True)}


def _scores(column: Column) -> Block:
    parts = [SCORE.fullmatch(cell) for cell in column.cells]
    found = [part for part in parts if part]
    if not found:
        return _plain(column)
    integers, decimals = (
        max(len(part[2].replace(",", "")) for part in found),
        max(len(part[3] or ".") - 1 for part in found),
    )
    # siunitx counts the digits of a spread from its first to the last decimal.
    spreads = [_digits(part[4], part[5]) for part in found if part[4] is not None]
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
    cells = []
    for i, cell in enumerate(column.cells):
        emphasis = column.emphasis.get(i, "")
        shown = _dash(cell)
        if emphasis in COLOURS and cell != MISSING:
            shown = f"{COLOURS[emphasis]}{{{shown}}}"
        cells.append(rf"\ablationbest {shown}" if emphasis == "best" else shown)
    spec = "c" if column.kind == "mark" else "r"
    return _headed(column, spec, cells, max(map(width, column.cells), default=0.0))


def _headed(
    column: Column, spec: str, cells: Sequence[str], natural: float, *, n: int = 1, name: str | None = None
) -> Block:
    """Break a header that is wider than its column where it has spaces, or as long names may be broken."""
    # Before a bracket, and after what joins the parts of a name.
    words = re.findall(r"\s+|\(?[^\s(,=_/-]*[,=_/-]*", name if name is not None else column.header)
    limit = max(natural, 24.0)
    lines, line = [], ""
    for word in filter(None, words):
        if line.strip() and width(line + word) > limit:
            lines.append(line.strip())
            line = ""
        line += word
    lines.append(line.strip())
    arrow = ARROWS.get(column.better or "", "")
    wide = max(map(width, lines))
    if arrow:
        wide = max(wide, width(lines[-1]) + 8.0)
    header = [escape(one) for one in lines]
    header[-1] += arrow
    return Block(spec, tuple(header), tuple(cells), max(natural, wide), column.group, n)


def _dash(cell: str) -> str:
    return "--" if cell == MISSING else escape(cell)
