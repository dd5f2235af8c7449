r"""LaTeX of a table: one `table` environment that needs `\usepackage{booktabs}` and nothing else.

Names and notes come from users, so every character that LaTeX reads as a command is escaped and common symbols
become math. Other letters beyond ASCII stay as they are: accented Latin letters compile with pdfLaTeX, Chinese needs
XeLaTeX or LuaLaTeX and a font that has it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from reports.tables import Table

# Brackets and stars are braced because `\\` would take them as its argument at the start of a row.
SPECIAL = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "#": r"\#",
    "%": r"\%",
    "&": r"\&",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": "$<$",
    ">": "$>$",
    "|": "$|$",
    "[": "{[}",
    "]": "{]}",
    "*": "{*}",
    '"': "''",
    "`": r"\textasciigrave{}",
}
SYMBOLS = {
    "−": "$-$",
    "–": "--",
    "—": "---",
    "…": r"\dots{}",
    "±": r"$\pm$",
    "×": r"$\times$",
    "·": r"$\cdot$",
    "÷": r"$\div$",
    "≤": r"$\le$",
    "≥": r"$\ge$",
    "≠": r"$\neq$",
    "≈": r"$\approx$",
    "∞": r"$\infty$",
    "→": r"$\to$",
    "←": r"$\gets$",
    "↑": r"$\uparrow$",
    "↓": r"$\downarrow$",
    "†": r"$\dagger$",
    "‡": r"$\ddagger$",
    "°": r"$^\circ$",
    "²": "$^2$",
    "³": "$^3$",
    "√": r"$\surd$",
    "Δ": r"$\Delta$",
    "Σ": r"$\Sigma$",
    "Ω": r"$\Omega$",
    "α": r"$\alpha$",
    "β": r"$\beta$",
    "γ": r"$\gamma$",
    "δ": r"$\delta$",
    "ε": r"$\varepsilon$",
    "ζ": r"$\zeta$",
    "η": r"$\eta$",
    "θ": r"$\theta$",
    "κ": r"$\kappa$",
    "λ": r"$\lambda$",
    "µ": r"$\mu$",  # the micro sign
    "\u03bc": r"$\mu$",  # the Greek letter
    "ν": r"$\nu$",
    "ξ": r"$\xi$",
    "π": r"$\pi$",
    "ρ": r"$\rho$",
    "σ": r"$\sigma$",
    "τ": r"$\tau$",
    "φ": r"$\varphi$",
    "χ": r"$\chi$",
    "ψ": r"$\psi$",
    "ω": r"$\omega$",
}
_REPLACEMENTS = SPECIAL | SYMBOLS

# (size, points of a figure in Computer Modern, points on each side of a column), for a document at 10 pt.
_SIZES = ((r"\small", 4.6, 4.0), (r"\footnotesize", 4.2, 3.5), (r"\scriptsize", 3.9, 3.0), (r"\scriptsize", 3.9, 1.6))
_TEXT_WIDTH = 483.0  # points in 17 cm


def render(table: Table, *, label: str | None = None) -> str:
    r"""Return the table as a `table` environment with its caption above and its notes below.

    The default label is `tab:` and the study's name, in the characters that `\ref` accepts. The size is the largest
    at which the columns fit 17 cm of text; more than some 120 characters do not fit at any.
    """
    columns = "".join("l" if header in table.words else "r" for header in table.columns)
    rows = [[escape(cell) for cell in row] for row in table.rows]
    if table.reference_row is not None:
        reference = rows[table.reference_row]
        name = next((i for i, header in enumerate(table.columns) if header in table.words), 0)
        reference[name] = rf"\textit{{{reference[name]}}}"
    size, separation = _size(table)
    lines = [
        r"\begin{table}[tbp]",
        r"\centering\sloppy",
        rf"\caption{{{escape(f'{table.question} {table.caption}'.strip())}}}",
        rf"\label{{{label if label is not None else f'tab:{_key(table.title)}'}}}",
        r"\smallskip",
        size,
        rf"\setlength{{\tabcolsep}}{{{separation}pt}}",
        rf"\begin{{tabular}}{{@{{}}{columns}@{{}}}}",
        r"\toprule",
        " & ".join(escape(header) for header in table.columns) + r" \\",
        r"\midrule",
        *(" & ".join(row) + r" \\" for row in rows),
        r"\bottomrule",
        r"\end{tabular}",
        *_notes(table),
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def escape(text: str) -> str:
    """Return text that LaTeX prints as it stands, in a paragraph or a table cell."""
    text = " ".join(text.split())
    # Dashes that a user typed must not melt into longer ones, nor a space before % end a line.
    escaped = "".join(_REPLACEMENTS.get(character, character) for character in text)
    escaped = re.sub(r"(?<=-)(?=-)", "{}", escaped) if "--" in text else escaped
    return re.sub(r"(?<![\w'}])'(?=\S)", "`", escaped).replace(r" \%", r"\,\%")


def _notes(table: Table) -> list[str]:
    if not table.notes:
        return []
    return [
        r"",
        r"\medskip",
        r"\parbox{\linewidth}{\raggedright\footnotesize",
        "\\par\n".join(escape(note) for note in table.notes),
        r"}",
    ]


def _size(table: Table) -> tuple[str, float]:
    """Return the font size and the column separation in points."""
    columns = zip(table.columns, *table.rows, strict=True)
    characters = sum(max(len(cell) for cell in column) for column in columns)
    # Spaces, brackets and most letters are narrower than figures.
    fitting = (
        (size, separation)
        for size, width, separation in _SIZES
        if characters * width * 0.93 + 2 * separation * (len(table.columns) - 1) <= _TEXT_WIDTH
    )
    return next(fitting, (_SIZES[-1][0], _SIZES[-1][2]))


def _key(name: str) -> str:
    return "".join(character if character.isalnum() or character in "-.:" else "-" for character in name)
