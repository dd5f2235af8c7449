"""A table as LaTeX: booktabs, siunitx, and what `ablation-preamble.tex` defines."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from reports.latex.blocks import blocks
from reports.latex.escape import escape, key
from reports.latex.layout import MOST_ROWS, layout
from reports.latex.style import STYLES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from reports.latex.blocks import Block
    from reports.latex.layout import Layout
    from reports.latex.style import Style
    from reports.tables import Table

HEAD = "% Needs ablation-preamble.tex before \\begin{document}; made by `ablate report`."


def render(table: Table, *, style: Style = STYLES["cvpr"], label: str | None = None) -> str:
    r"""Return a table for a document in this style that has input `ablation-preamble.tex`.

    It has its caption above and its notes below, fits a column of text or the page, and is continued on further pages
    where it has many rows. The default label is `tab:` and the table's title, in the characters that `\ref` accepts.
    """
    made = blocks(table)
    set_ = layout(made, style)
    name = label if label is not None else f"tab:{key(table.title)}"
    caption = " ".join(filter(None, [table.question, table.caption, table.legend]))
    if len(table.rows) > MOST_ROWS and not style.two_columns and len(set_.panels) == 1:
        return "\n".join([HEAD, *_long(table, made, set_, caption, name)]) + "\n"
    lines = [HEAD]
    parts = _parts(table)
    for i, rows in enumerate(parts):
        first, last = i == 0, i == len(parts) - 1
        lines += _float(table, made, set_, rows, caption=_caption(caption, name, first=first), notes=last)
    return "\n".join(lines) + "\n"


def _caption(caption: str, label: str, *, first: bool) -> list[str]:
    if first:
        return [rf"\caption{{{escape(caption, breaks=True)}}}", rf"\label{{{label}}}"]
    # The number of the first part, which the counter still has.
    return [
        r"\addtocounter{table}{-1}",
        rf"\caption{{(continued) {escape(caption.split('. ', maxsplit=1)[0], breaks=True)}}}",
    ]


def _parts(table: Table) -> list[range]:
    """Return rows that fit a page each, ended where a group of rows ends if that is near."""
    n, start, parts = len(table.rows), 0, []
    while n - start > MOST_ROWS:
        ends = [row for row in table.breaks if start + MOST_ROWS // 2 < row <= start + MOST_ROWS]
        end = max(ends, default=start + MOST_ROWS)
        parts.append(range(start, end))
        start = end
    return [*parts, range(start, n)]


def _float(
    table: Table, made: Sequence[Block], set_: Layout, rows: range, *, caption: Sequence[str], notes: bool
) -> Iterator[str]:
    environment = "table*" if set_.wide else "table"
    yield from (
        rf"\begin{{{environment}}}[tbp]",
        r"\centering\sloppy\emergencystretch=3em",
        *caption,
        r"\smallskip",
        set_.size,
    )
    yield rf"\setlength{{\tabcolsep}}{{{set_.gap:g}pt}}"
    for i, panel in enumerate(set_.panels):
        if i:
            yield r"\par\medskip"
        yield rf"\begin{{tabular}}{{{_spec(made, set_, panel)}}}"
        yield r"\toprule"
        yield from _header(made, panel)
        yield r"\midrule"
        yield from _rows(table, made, set_, panel, rows)
        yield from (r"\bottomrule", r"\end{tabular}")
    if notes:
        yield from _notes(table)
    yield rf"\end{{{environment}}}"


def _long(table: Table, made: Sequence[Block], set_: Layout, caption: str, label: str) -> Iterator[str]:
    """Yield a table that goes over pages by itself."""
    panel = set_.panels[0]
    header = [r"\toprule", *_header(made, panel), r"\midrule"]
    yield from ("{" + set_.size, rf"\setlength{{\tabcolsep}}{{{set_.gap:g}pt}}", r"\setlength{\LTcapwidth}{\linewidth}")
    yield r"\sloppy\emergencystretch=3em"
    yield rf"\begin{{longtable}}{{{_spec(made, set_, panel)}}}"
    yield rf"\caption{{{escape(caption, breaks=True)}}}\label{{{label}}}\\"
    yield from (*header, r"\endfirsthead")
    columns = sum(made[i].n for i in panel)
    yield rf"\multicolumn{{{columns}}}{{@{{}}l}}{{(continued)}}\\"
    yield from (*header, r"\endhead", r"\bottomrule", r"\endfoot")
    yield from _rows(table, made, set_, panel, range(len(table.rows)))
    yield r"\end{longtable}"
    yield from _notes(table)
    yield "}"


def _spec(made: Sequence[Block], set_: Layout, panel: Sequence[int]) -> str:
    specs = [
        rf">{{\raggedright\arraybackslash}}p{{{set_.names[i]:.1f}pt}}" if i in set_.names else made[i].spec
        for i in panel
    ]
    return f"@{{}}{' '.join(specs)}@{{}}"


def _header(made: Sequence[Block], panel: Sequence[int]) -> Iterator[str]:
    groups = [(group, list(members)) for group, members in groupby(panel, key=lambda i: made[i].group)]
    if any(group for group, _ in groups):
        cells, rules, at = [], [], 1
        for group, members in groups:
            n = sum(made[i].n for i in members)
            cells.append(rf"\multicolumn{{{n}}}{{c}}{{{escape(group)}}}" if group else "&" * (n - 1))
            rules += [rf"\cmidrule(lr){{{at}-{at + n - 1}}}"] if group else []
            at += n
        yield " & ".join(cells) + r" \\"
        yield "".join(rules)
    yield " & ".join(made[i].headed() for i in panel) + r" \\"


def _rows(table: Table, made: Sequence[Block], set_: Layout, panel: Sequence[int], rows: range) -> Iterator[str]:
    for row in rows:
        if row in table.breaks and row != rows.start:
            yield r"\addlinespace"
        cells = [_wrapped(made[i], row) if i in set_.names else made[i].cells[row] for i in panel]
        shade = r"\rowcolor{ablationshade}" if row in table.shaded else ""
        yield f"{shade}{' & '.join(cells)} \\\\"


def _wrapped(block: Block, row: int) -> str:
    return escape(block.words[row], breaks=True) if block.words is not None else block.cells[row]


def _notes(table: Table) -> list[str]:
    if not table.notes:
        return []
    notes = "\\par\n".join(escape(note, breaks=True) for note in table.notes)
    return [rf"\ablationnotes{{{notes}}}"]
