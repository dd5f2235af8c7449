"""A table as LaTeX: booktabs, siunitx, and what `ablation-preamble.tex` defines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reports.latex.blocks import blocks, stacked
from reports.latex.escape import escape, key
from reports.latex.layout import layout
from reports.latex.pages import pages
from reports.styles import STYLES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from reports.latex.blocks import Block
    from reports.latex.layout import Layout
    from reports.latex.pages import Page
    from reports.styles import Style
    from reports.tables import Table

HEAD = "% Needs \\input{ablation-preamble.tex} before \\begin{document}; made by `ablate report STUDY --latex DIR`."


def render(table: Table, *, style: Style = STYLES["cvpr"], label: str | None = None) -> str:
    r"""Return a table for a document in this style that has input `ablation-preamble.tex`.

    It has its caption above and its notes below, fits a column of text or the page, and is continued on further pages
    where it has many rows. The default label is `tab:` and the table's title, in the characters that `\ref` accepts.
    """
    made = layout(blocks(table), style)
    name = label if label is not None else f"tab:{key(table.title)}"
    parts = pages(table, made)
    if len(parts) > 1 and not style.two_columns and len(made.panels) == 1:
        return "\n".join([HEAD, *_long(table, made, name)]) + "\n"
    found = [HEAD, *_float(table, made, parts[0], [*_caption(table), rf"\label{{{name}}}"])]
    for part in parts[1:]:
        found += _float(table, made, part, _continued(table))
    return "\n".join(found) + "\n"


def _caption(table: Table) -> list[str]:
    """Return the caption: the question, which stands alone in a list of tables, and what each figure is."""
    question = escape(table.question, breaks=True)
    about = escape(" ".join(filter(None, [table.caption, table.legend])), breaks=True)
    return [rf"\caption[{{{question}}}]{{\textbf{{{question}}} {about}}}" if question else rf"\caption{{{about}}}"]


def _continued(table: Table) -> list[str]:
    # The number of the first part, which the counter still has.
    about = escape(table.question or table.title, breaks=True)
    return [r"\addtocounter{table}{-1}", rf"\caption[]{{(continued) \textbf{{{about}}}}}"]


def _float(table: Table, made: Layout, part: Page, caption: Sequence[str]) -> Iterator[str]:
    environment = "table*" if made.wide else "table"
    yield rf"\begin{{{environment}}}[tbp]"
    yield r"\centering\sloppy\emergencystretch=3em"
    yield from (*caption, r"\medskip", *_setup(made))
    for i, panel in enumerate(made.panels if part.rows or not part.notes else ()):
        if i:
            yield r"\par\medskip"
        yield rf"\begin{{tabular}}{{{_spec(made, panel)}}}"
        yield from (r"\toprule", *_header(made, panel), r"\midrule")
        yield from _rows(table, made, panel, part.rows)
        yield from (r"\bottomrule", r"\end{tabular}")
    yield from _notes(part.notes)
    yield rf"\end{{{environment}}}"


def _long(table: Table, made: Layout, label: str) -> Iterator[str]:
    """Yield a table that goes over pages by itself."""
    panel = made.panels[0]
    header = [r"\toprule", *_header(made, panel), r"\midrule"]
    yield from ("{", *_setup(made), r"\setlength{\LTcapwidth}{\linewidth}", r"\sloppy\emergencystretch=3em")
    yield rf"\begin{{longtable}}{{{_spec(made, panel)}}}"
    yield from (*_caption(table), rf"\label{{{label}}}\\", *header, r"\endfirsthead")
    columns = sum(made.blocks[i].n for i in panel)
    yield rf"\multicolumn{{{columns}}}{{@{{}}l}}{{(continued)}}\\"
    yield from (*header, r"\endhead", r"\bottomrule", r"\endfoot")
    yield from _rows(table, made, panel, range(len(table.rows)))
    yield r"\end{longtable}"
    yield from (*_notes(table.notes), "}")


def _setup(made: Layout) -> Iterator[str]:
    yield from (rf"{made.size}\ablationsetup", rf"\setlength{{\tabcolsep}}{{{made.gap:g}pt}}")


def _spec(made: Layout, panel: Sequence[int]) -> str:
    specs = [
        rf">{{\raggedright\arraybackslash}}p{{{made.names[i]:.1f}pt}}" if i in made.names else made.blocks[i].spec
        for i in panel
    ]
    return f"@{{}}{' '.join(specs)}@{{}}"


def _header(made: Layout, panel: Sequence[int]) -> Iterator[str]:
    groups = made.grouped(panel)
    if any(made.blocks[members[0]].group for members in groups):
        cells, rules, at = [], [], 1
        for members in groups:
            n = sum(made.blocks[i].n for i in members)
            over = stacked([escape(line) for line in made.group(members)])
            cells.append(rf"\multicolumn{{{n}}}{{c}}{{{over}}}" if over else " & " * (n - 1))
            rules += [rf"\cmidrule(lr){{{at}-{at + n - 1}}}"] if over else []
            at += n
        yield " & ".join(cells) + r" \\"
        yield "".join(rules)
    yield " & ".join(made.blocks[i].headed() for i in panel) + r" \\"


def _rows(table: Table, made: Layout, panel: Sequence[int], rows: range) -> Iterator[str]:
    for row in rows:
        if row in table.breaks and row != rows.start:
            yield r"\addlinespace"
        cells = [_wrapped(made.blocks[i], row) if i in made.names else made.blocks[i].cells[row] for i in panel]
        shade = r"\rowcolor{ablationshade}" if row in table.shaded else ""
        yield f"{shade}{' & '.join(cells)} \\\\"


def _wrapped(block: Block, row: int) -> str:
    text = escape(block.text[row], breaks=True)
    return rf"\textit{{{text}}}" if block.cells[row].startswith(r"\textit{") else text


def _notes(notes: Sequence[str]) -> list[str]:
    if not notes:
        return []
    text = "\\par\n".join(escape(note, breaks=True) for note in notes)
    return [rf"\ablationnotes{{{text}}}"]
