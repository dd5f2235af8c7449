"""Tables for the paper, as LaTeX."""

from reports.latex.documents import documents, stem
from reports.latex.escape import escape
from reports.latex.preamble import PREAMBLE
from reports.latex.render import render
from reports.styles import STYLES, Style, style_of

__all__ = ["PREAMBLE", "STYLES", "Style", "documents", "escape", "render", "stem", "style_of"]
