"""A table as the page shows it: cells aligned and sorted by their figures, rows that can stand alone."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from reports.formats import MISSING, paragraph
from reports.language import tr

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reports.tables import Column, Table

UNITS = {"": 1.0, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}
NUMBER = re.compile(r"\s*<?([+−]?[\d,]*\.?\d+)(?: ([kMGT])\b)?.*")
FIGURE_SPACE = "\u2007"  # as wide as a digit
LONG = 32  # characters of a name or header that may be broken over lines
MOST_CSV = 200_000  # characters in the page


@dataclass(frozen=True)
class Shown:
    """A column: its cells as they are shown and as they are sorted; what repeats the row above is hidden."""

    header: str
    look: str
    better: str | None
    cells: Sequence[str]
    values: Sequence[str]
    repeats: Sequence[bool]
    emphasis: Any


def grid(table: Table, *, latex: str, notes: Sequence[str]) -> dict[str, Any]:
    """Return what the template needs of a table."""
    columns = [
        _shown(column, header, aligned[1:], table)
        for column, header, aligned in zip(table.body, table.columns, table.aligned(), strict=True)
    ]
    n = len(table.rows)
    groups = [(group, len(list(members))) for group, members in groupby(table.body, key=lambda column: column.group)]
    heads, kept = _heads(columns)
    looks = [
        " ".join(
            name
            for name, rows in (("reference", {table.reference_row}), ("break", table.breaks), ("shaded", table.shaded))
            if i in rows
        )
        for i in range(n)
    ]
    data = quote(printable(table.frame.to_csv(index=False)))
    return {
        "key": table.key, "name": _name(table.key), "caption": paragraph(filter(None, [table.caption, table.legend])), "notes": notes,
        "columns": columns, "n": n, "looks": looks, "groups": groups if any(group for group, _ in groups) else [],
        "heads": heads, "kept": kept,
        "latex": latex, "file": f"{table.key}.csv", "csv": f"data:text/csv;charset=utf-8,{data}" if len(data) < MOST_CSV else "",
    }  # fmt: skip


def printable(text: str) -> str:
    """Return text with its lines, without characters that do not print."""
    return "".join(character for character in text if character.isprintable() or character == "\n")


def _heads(columns: Sequence[Shown]) -> tuple[range, int | None]:
    """Return the columns that name a row, and that of them which tells most rows apart: it stays in view."""
    words = [column.look.startswith("words") for column in columns]
    first = words.index(True) if True in words else 0
    heads = range(words.index(False, first) if False in words[first:] else len(words))
    return heads, max(heads, key=lambda i: len(set(columns[i].cells)), default=None)


def _name(key: str) -> str:
    names = {
        "comparison": tr("Settings compared"), "effects": tr("What each slot does"), "components": tr("Components"),
        "path": tr("Step by step"), "pairs": tr("Every pair"), "cost": tr("Score and cost"), "studies": tr("Two studies"),
    }  # fmt: skip
    return names[key]


def _shown(column: Column, header: str, aligned: Sequence[str], table: Table) -> Shown:
    words = column.kind == "words"
    cells = [cell.strip() if column.kind in ("words", "mark") else _spaced(cell.lstrip()) for cell in aligned]
    repeats = [False] * len(cells)
    if words and table.breaks:  # a name that stands once for several rows
        for i in range(1, len(cells)):
            if not cells[i] and i not in table.breaks:
                cells[i], repeats[i] = cells[i - 1], True
    values = list(cells) if words else [_value(cell) for cell in column.cells]
    look = "words" if words else "mark" if column.kind == "mark" else "figure"
    if max(map(len, [header, *(cells if words else [])])) > LONG:
        look += " long"
    return Shown(header, look, column.better, cells, values, repeats, column.emphasis)


def _spaced(cell: str) -> str:
    """Return a cell whose padding is as wide as digits are."""
    marked = re.sub("  $", f"\u00a0{FIGURE_SPACE}", cell)  # where other cells have a space and †
    padded = re.sub(r"^ +| {2,}", lambda run: FIGURE_SPACE * len(run[0]), marked)
    return padded.replace(" ", "\u00a0")


def _value(cell: str) -> str:
    """Return what a cell is sorted by: its first figure; nothing where it has none."""
    if cell == MISSING:
        return ""
    part = NUMBER.fullmatch(cell)
    if part is None:
        return {tr("reference"): "0", "✓": "1", "★": "1", "✗": "0"}.get(cell, "")
    return repr(float(part[1].replace(",", "").replace("−", "-")) * UNITS[part[2] or ""])
