"""A figure for a paper: its question, what it shows in words, and how it is drawn and saved."""

from __future__ import annotations

import io
import logging
import re
import warnings
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

from matplotlib import font_manager, rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.text import Text
from matplotlib.textpath import TextToPath

from reports.errors import ResultsError
from reports.formats import one_line, some
from reports.language import tr

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator

    from reports.plan import Plan

# A Chinese font has no bold, and that is no news.
logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)

# Okabe and Ito's colours, which people with every kind of colour vision tell apart; a marker goes with each.
COLOURS = {"better": "#009E73", "worse": "#D55E00", "equivalent": "#0072B2", "inconclusive": "#6B6B6B"}
MARKERS = {"better": "^", "worse": "v", "equivalent": "s", "inconclusive": "o"}
LINES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#8C6D1F")
DASHES = ("-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1)), (0, (1, 1)), (0, (6, 2, 1, 2)))
GREY = "#8A8A8A"
INK = "#222222"

FONTS = ("DejaVu Sans",)
# What is installed of these draws what the first font has no sign for.
MORE_FONTS = (
    "Noto Sans CJK SC", "Noto Sans SC", "Source Han Sans SC", "Source Han Sans CN", "WenQuanYi Micro Hei", "WenQuanYi Zen Hei",
    "Microsoft YaHei", "SimHei", "PingFang SC", "Heiti SC", "AR PL SungtiL GB", "AR PL UMing CN", "Noto Sans CJK JP", "Unifont",
)  # fmt: skip
RC: dict[Any, Any] = {
    "font.size": 7, "axes.titlesize": 7, "axes.labelsize": 7, "xtick.labelsize": 6.5, "ytick.labelsize": 6.5,
    "legend.fontsize": 6.5, "figure.titlesize": 7.5, "axes.linewidth": 0.6, "axes.edgecolor": INK, "axes.labelcolor": INK,
    "text.color": INK, "xtick.color": INK, "ytick.color": INK, "xtick.major.width": 0.6, "ytick.major.width": 0.6,
    "xtick.major.size": 2.5, "ytick.major.size": 2.5, "axes.spines.top": False, "axes.spines.right": False,
    "axes.grid": True, "grid.color": "#E3E3E3", "grid.linewidth": 0.5, "axes.axisbelow": True, "lines.linewidth": 1.1,
    "legend.frameon": False, "axes.unicode_minus": True, "pdf.fonttype": 42, "svg.hashsalt": "ablate",
    "svg.fonttype": "path", "savefig.dpi": 300, "figure.dpi": 100, "text.parse_math": False,
}  # fmt: skip


@dataclass(frozen=True)
class Drawing:
    """A figure.

    Attributes:
        key: names its files.
        title: the question that it answers.
        alt: what it shows, with its figures, for whoever does not see it.
        caption: what is drawn.
    """

    key: str
    title: str
    alt: str
    caption: str
    figure: Figure

    def __post_init__(self) -> None:
        for name in ("title", "alt", "caption"):
            object.__setattr__(self, name, one_line(getattr(self, name)))
        # No picture holds what does not print: an SVG with an escape character is broken. Ticks are text of an axis,
        # which sets it anew; `fitted` has cleaned that.
        for text in self.figure.findobj(Text):
            if isinstance(text, Text):
                text.set_text("\n".join(map(one_line, text.get_text().split("\n"))))


def blank(width: float, height: float) -> Figure:
    """Return an empty figure of so many inches, whose axes make room for their labels."""
    figure = Figure(figsize=(width, height), layout=ConstrainedLayoutEngine(w_pad=0.03, h_pad=0.03))
    FigureCanvasAgg(figure)  # which knows how large text is
    return figure


@contextmanager
def settled() -> Iterator[None]:
    """Draw and save figures meanwhile as all of them are."""
    with rc_context({**RC, "font.family": [*FONTS, *_installed()]}), warnings.catch_warnings():
        # `save` says which sign is missing, where that matters.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font", category=UserWarning)
        yield


def save(drawing: Drawing, kind: Literal["pdf", "svg", "png"], *, text: bool = False) -> bytes:
    """Return a figure as a file, the same bytes whenever it is made.

    Args:
        drawing: the figure.
        kind: the format; fonts are embedded in a PDF, and text is drawn as paths in an SVG.
        text: leave text in an SVG to the fonts of whoever shows it, which may have signs that no font here has.

    Raises:
        ResultsError: if no installed font has a character that is to be drawn.
    """
    nothing = {
        "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
        "svg": {"Date": None, "Creator": None},
        "png": {"Software": None},
    }
    if not text:
        _check_fonts(drawing)
    target = io.BytesIO()
    with settled(), rc_context({"svg.fonttype": "none" if text else "path"}):
        drawing.figure.savefig(target, format=kind, metadata=nothing[kind])
    return target.getvalue()


def undrawn(labels: Iterable[str], failed: Container[str]) -> Iterator[str]:
    """Yield sentences that name the settings that are not drawn, and why: a failed run is no score."""
    names: dict[bool, list[str]] = {True: [], False: []}
    for label in labels:
        names[label in failed].append(tr("'{label}'", label=label))
    if names[True]:
        yield tr("Not drawn, as runs failed: {names}.", names=some(names[True]))
    if names[False]:
        yield tr("Not drawn, as too few runs are complete: {names}.", names=some(names[False]))


def brief(plan: Plan) -> dict[str, str]:
    """Return a short name of each setting: what it changes at the reference, without the names of slots and options.

    Where two would have the same name, all keep their labels.
    """
    at_reference = plan.choices.get(plan.reference, {})
    for kept in (lambda name: name != "none", bool):
        found = {}
        for label in plan.settings:
            changed = [name for slot, name in plan.choices.get(label, {}).items() if at_reference.get(slot) != name]
            values = [re.sub(r"\(([^()]*)\)", lambda options: f" {_values(options[1])}", name) for name in changed]
            found[label] = " + ".join(filter(kept, values)) or " + ".join(values) or label
        if len(set(found.values())) == len(found):
            return found
    return {label: label for label in plan.settings}


def _values(options: str) -> str:
    return ", ".join(one.split("=", maxsplit=1)[-1] for one in options.split(", "))


def fitted(labels: Iterable[str], points: float, size: float = 6.5) -> list[str]:
    """Return labels that are no wider than this at a font size, their middle left out, and still differ."""
    found: list[str] = []
    for label in map(one_line, labels):
        short, n = label, len(label)
        while text_width(short, size) > points and n > 3:
            n -= 1
            short = f"{label[: (n + 1) // 2]}…{label[len(label) - n // 2 :]}"
        copies = 2
        while short in found:
            short = f"{short.removesuffix(f' ({copies - 1})')} ({copies})"
            copies += 1
        found.append(short)
    return found


def folded(text: str, points: float, size: float) -> str:
    """Return bold text in lines that are no wider than this at a font size."""
    lines = [""]
    for word in re.findall(r"[\u2e80-\uffef]|[^\s\u2e80-\uffef]+|\s+", text):
        for part in word if text_width(word, size, weight="bold") > points else [word]:
            if text_width(lines[-1] + part, size, weight="bold") > points:
                lines.append("")
            lines[-1] += part if lines[-1] else part.lstrip()
    return "\n".join(line.rstrip() for line in lines)


def text_width(text: str, size: float, *, weight: str = "normal") -> float:
    """Return the width of text at a font size, both in points."""
    font = font_manager.FontProperties(size=size, weight=weight)
    width, _, _ = _to_path().get_text_width_height_descent(text, font, ismath=False)
    return float(width)


@cache
def _to_path() -> TextToPath:
    return TextToPath()


@cache
def _installed() -> tuple[str, ...]:
    manager = font_manager.fontManager
    if not any(font.name in MORE_FONTS for font in manager.ttflist):
        # What has been installed since matplotlib last looked.
        for path in set(font_manager.findSystemFonts()) - {font.fname for font in manager.ttflist}:
            with suppress(OSError, RuntimeError, ValueError):
                manager.addfont(path)
    known = {font.name for font in manager.ttflist}
    return tuple(name for name in MORE_FONTS if name in known)


@cache
def _signs() -> frozenset[int]:
    """Return the code points that the fonts in use have signs for."""
    found: set[int] = set()
    for name in (*FONTS, *_installed()):
        path = font_manager.findfont(font_manager.FontProperties(family=name))
        found |= set(font_manager.get_font(path).get_charmap())
    return frozenset(found)


def _check_fonts(drawing: Drawing) -> None:
    for text in (one.get_text() for one in drawing.figure.findobj(Text) if isinstance(one, Text)):
        for character in text:
            if ord(character) > 0x7F and ord(character) not in _signs():
                raise ResultsError(
                    f"figure {drawing.key!r}: no installed font has {character!r} (U+{ord(character):04X}), which stands in "
                    f"{text!r}; install one, such as Noto Sans CJK (apt-get install fonts-noto-cjk)"
                )
