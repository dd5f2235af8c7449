"""Tables on a terminal, in colour and as wide as it is; elsewhere as plain text."""

import sys
from typing import TYPE_CHECKING

from ablate.display import printable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.text import Text

    from reports.report import Report
    from reports.tables import Table

# The sign of a figure is printed, too: colour is never all that tells better from worse.
STYLES = {"best": "bold", "second": "underline", "better": "green", "worse": "red", "unsure": "dim"}
GAP = 2  # columns between two columns of a table


def show(report: "Report") -> None:
    """Print the tables of a report, and what a search has found."""
    show_tables(report.printed)
    if report.found:
        sys.stdout.write(printable(f"{report.found}\n", sys.stdout))


def show_tables(tables: "Iterable[Table]") -> None:
    """Print tables with their question above and what they say below."""
    for table in tables:
        if sys.stdout.isatty():
            _show(table)
        else:
            sys.stdout.write(printable(f"{table.to_text()}\n", sys.stdout))
    sys.stdout.flush()


def _show(table: "Table") -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table as Grid
    from rich.text import Text

    from reports.formats import paragraph

    console = Console(highlight=False, emoji=False)
    lead = Text(printable(table.title, sys.stdout), style="bold")
    console.print(lead.append(printable(f": {table.question}" if table.question else "", sys.stdout), style="not bold"))
    cells = [[printable(cell, sys.stdout) for cell in column] for column in table.aligned()]
    for panel in panels(table, console.width):
        grid = Grid(box=SIMPLE_HEAD, padding=(0, GAP - 1, 0, 0), pad_edge=False, show_edge=False, header_style="bold")
        for i in panel:
            grid.add_column(
                Text(cells[i][0].strip()), no_wrap=True, justify="left" if table.body[i].kind == "words" else "right"
            )
        for row in range(len(table.rows)):
            style = "italic" if row == table.reference_row else ""
            grid.add_row(
                *(_cell(table, i, row, cells[i][row + 1]) for i in panel),
                style=style,
                end_section=row + 1 in table.breaks,
            )
        console.print(grid)
        console.print()
    notes = Grid.grid(padding=(0, 1, 0, 0))
    for i, note in enumerate(table.notes):
        notes.add_row("-", Text(printable(note, sys.stdout), style="bold" if i == 0 else ""))
    console.print(notes)
    console.print()
    about = paragraph(filter(None, [table.caption, table.legend]))
    console.print(Text(printable(about, sys.stdout), style="dim"))
    console.print()


def _cell(table: "Table", column: int, row: int, text: str) -> "Text":
    from rich.text import Text

    emphasis = table.body[column].emphasis.get(row)
    return Text(text, style=STYLES[emphasis] if emphasis else "")


def panels(table: "Table", width: int) -> list[list[int]]:
    """Return the columns of each of the parts, one below the other, in which a table fits a terminal.

    Each part begins with the columns that name the rows. A single column that is wider than what is left stands alone
    with them, whatever the width.
    """
    from reports.tables.table import text_width

    widths = [text_width(column[0]) + GAP for column in table.aligned()]
    names = []
    for i, column in enumerate(table.body):
        if column.kind != "words":
            break
        names.append(i)
    found: list[list[int]] = [[*names]]
    for i in range(len(names), len(widths)):
        used = sum(widths[j] for j in found[-1])
        if len(found[-1]) > len(names) and used + widths[i] - GAP > width:
            found.append([*names])
        found[-1].append(i)
    return found
