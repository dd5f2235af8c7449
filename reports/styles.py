"""The documents of conferences: how wide their columns are."""

from __future__ import annotations

from dataclasses import dataclass

from reports.errors import ResultsError, unknown

POINTS = 72.27  # of TeX, in an inch


@dataclass(frozen=True)
class Style:
    """A document that tables and figures are made for.

    Attributes:
        column: width of a column of text in points; `text` that of the page's, the same where it has one column.
        begin: its class and geometry, for a document that shows the tables alone.
    """

    name: str
    column: float
    text: float
    begin: str

    @property
    def inches(self) -> float:
        """The width of a column of text in inches."""
        return self.column / POINTS

    @property
    def two_columns(self) -> bool:
        """Whether a wide table must span two columns."""
        return self.text > self.column


def _article(options: str, width: float, gap: float) -> str:
    more = rf"\setlength{{\columnsep}}{{{gap}pt}}" if gap else ""
    return (
        rf"\documentclass[{options}]{{article}}"
        "\n"
        rf"\usepackage[letterpaper,textwidth={width}pt,textheight=640pt]{{geometry}}{more}"
    )


STYLES = {
    "cvpr": Style("cvpr", 237.13, 496.86, _article("10pt,twocolumn", 496.86, 22.6)),
    "neurips": Style("neurips", 397.48, 397.48, _article("10pt", 397.48, 0)),
    "ieee": Style("ieee", 252.0, 516.0, _article("10pt,twocolumn", 516.0, 12.0)),
}


def style_of(name: str) -> Style:
    """Return a style by its name.

    Raises:
        ResultsError: if there is none of that name.
    """
    if name not in STYLES:
        raise ResultsError(unknown("style", name, STYLES))
    return STYLES[name]
