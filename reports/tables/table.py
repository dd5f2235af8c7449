"""A table in words and as numbers, and its text and Markdown."""

from __future__ import annotations

import re
import textwrap
import unicodedata
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from reports.formats import one_line

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

# A figure, what follows it (a spread or an interval), and a mark.
FIGURE = re.compile(r"([+−]?[\d,.]+)( ± [\d,.]+| \[.*\])?( †)?")

# What stays on one line: a word or a wide character, with what opens before it and closes after it.
OPENING, CLOSING = "（“‘《【", "，。；：、）”’！？》】"
WIDE = "\u2e80-\u2fff\u3040-\u9fff\uac00-\ud7af\uf900-\ufaff\uff00-\uffef"
PIECE = re.compile(
    rf"\s+|[{OPENING}]*(?:[^\s{WIDE}{OPENING}{CLOSING}]+|(?![{OPENING}{CLOSING}])[{WIDE}])[{CLOSING}]*|."
)

Kind = Literal["words", "figure", "score", "difference", "probability", "mark"]
Emphasis = Literal["best", "second", "better", "worse", "unsure"]


@dataclass(frozen=True)
class Column:
    """A column of a table: its cells are in the words in which every form of the table shows them.

    Attributes:
        kind: "words" is set to the left; "score" is a mean with or without ± and its spread, "difference" a signed
            figure with or without an interval in brackets, "probability" a p-value, "mark" a ✓, ✗ or ★ or nothing;
            any of them may be missing (an en dash), and a score may end in †.
        group: a header over this column and its neighbours of the same group; empty without one.
        better: whether "higher" or "lower" figures are better; None where neither is.
        emphasis: of some rows, how a cell stands out. "best" and "second" are of scores: the settings that can be told
            from all others, and the next; "better", "worse" and "unsure" are of differences.
    """

    header: str
    cells: Sequence[str]
    kind: Kind = "figure"
    group: str = ""
    better: Literal["higher", "lower"] | None = None
    emphasis: Mapping[int, Emphasis] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "header", one_line(self.header))
        object.__setattr__(self, "group", one_line(self.group))
        object.__setattr__(self, "cells", tuple(map(one_line, self.cells)))


@dataclass(frozen=True)
class Table:
    """A table for a paper, in words and as numbers.

    Attributes:
        key: what kind of table it is, such as "comparison"; it names its files.
        title: the study.
        question: what the study asks; may be empty.
        caption: what each figure means.
        legend: what bold, underlined and marked cells mean, for the forms that show them; may be empty.
        body: the columns.
        reference_row: index into the rows; None where no single row is the reference.
        breaks: rows before which a group of rows begins, the first row not among them.
        shaded: rows that stand out, such as the full model.
        notes: sentences; the first is the answer.
        frame: the raw figures, scores in the unit of the runs (fractions, not percent).
    """

    key: str
    title: str
    question: str
    caption: str
    body: tuple[Column, ...]
    notes: tuple[str, ...]
    frame: pd.DataFrame = field(compare=False, repr=False)
    reference_row: int | None = None
    breaks: frozenset[int] = frozenset()
    shaded: frozenset[int] = frozenset()
    legend: str = ""

    def __post_init__(self) -> None:
        for name in ("title", "question", "caption", "legend"):
            object.__setattr__(self, name, one_line(getattr(self, name)))
        object.__setattr__(self, "notes", tuple(map(one_line, self.notes)))

    @property
    def columns(self) -> tuple[str, ...]:
        """The headers; where two are the same, with their group."""
        headers = [column.header for column in self.body]
        return tuple(
            f"{column.group} {column.header}" if headers.count(column.header) > 1 else column.header
            for column in self.body
        )

    @property
    def words(self) -> frozenset[str]:
        """The headers of the columns that hold words; the others hold figures and are aligned right."""
        return frozenset(name for name, column in zip(self.columns, self.body, strict=True) if column.kind == "words")

    @property
    def rows(self) -> tuple[tuple[str, ...], ...]:
        """The cells, row by row."""
        return tuple(zip(*(column.cells for column in self.body), strict=True))

    def aligned(self) -> list[list[str]]:
        """Return the cells column by column, header first, padded to one width each."""
        named = zip(self.columns, self.body, strict=True)
        return [_aligned([name, *column.cells], left=column.kind == "words") for name, column in named]

    def to_text(self, width: int | None = None) -> str:
        """Return aligned plain text: the question, the table, what it says, and last what its figures mean.

        Sentences are wrapped at `width` columns, by default as wide as the table.
        """
        columns = self.aligned()
        lines = ["  ".join(line).rstrip() for line in zip(*columns, strict=True)]
        table_width = max(text_width(line) for line in lines)
        width = width or min(max(table_width, 79), 110)
        table = [lines[0], "-" * table_width, *lines[1:]]
        notes = [line for note in self.notes for line in wrapped(f"- {note}", width, indent="  ")]
        head = wrapped(f"{self.title}: {self.question}" if self.question else self.title, width)
        return "\n".join([*head, "", *table, "", *notes, "", *wrapped(self.caption, width)]) + "\n"

    def to_markdown(self) -> str:
        """Return a GitHub table under its title, with caption and notes as text."""
        rule = [":--" if header in self.words else "--:" for header in self.columns]
        cells = [[_escaped(cell) for cell in row] for row in (self.columns, *self.rows)]
        lines = [f"| {' | '.join(row)} |" for row in (cells[0], rule, *cells[1:])]
        notes = [f"- {_escaped(note)}" for note in self.notes]
        head = [f"### {_escaped(self.title)}", "", *([_escaped(self.question), ""] if self.question else [])]
        return "\n".join([*head, *lines, "", *notes, "", _escaped(self.caption)]) + "\n"


def wrapped(text: str, width: int, *, indent: str = "", break_on_hyphens: bool = False) -> list[str]:
    """Return text in lines of at most so many columns; between Chinese characters a line may end anywhere."""
    if not any(unicodedata.east_asian_width(character) in "WF" for character in text):
        return textwrap.wrap(text, width, subsequent_indent=indent, break_on_hyphens=break_on_hyphens)
    lines, line = [], ""
    for piece in PIECE.findall(text):
        for part in piece if text_width(piece) > width - len(indent) else [piece]:
            if line.strip() and text_width(f"{line}{part}".rstrip()) > width:
                lines.append(line.rstrip())
                line = indent + part.lstrip()
            else:
                line += part
    return [*lines, line.rstrip()]


def text_width(text: str) -> int:
    """Return the terminal columns of a text: Chinese, Japanese and Korean characters take two."""
    wide = sum(unicodedata.east_asian_width(character) in "WF" for character in text)
    return len(text) + wide - sum(unicodedata.combining(character) > 0 for character in text)


def _pad(text: str, width: int, *, left: bool) -> str:
    space = " " * (width - text_width(text))
    return text + space if left else space + text


def _aligned(cells: Sequence[str], *, left: bool) -> list[str]:
    """Return the cells of a column, header first, padded to one width; ±, brackets and † stand below each other."""
    if not left:
        cells = [cells[0], *_stacked(cells[1:])]
    width = max(text_width(cell) for cell in cells)
    return [_pad(cell, width, left=left) for cell in cells]


def _stacked(cells: Sequence[str]) -> list[str]:
    parts = [FIGURE.fullmatch(cell) for cell in cells]
    widths = [max((len(part[i] or "") for part in parts if part), default=0) for i in (1, 2, 3)]
    return [
        f"{part[1]:>{widths[0]}}{part[2] or '':>{widths[1]}}{part[3] or '':{widths[2]}}" if part else cell
        for part, cell in zip(parts, cells, strict=True)
    ]


def _escaped(text: str) -> str:
    """Escape what Markdown would read as markup or as the end of a cell."""
    return re.sub(r"([\\`*_|<])", r"\\\1", text)
