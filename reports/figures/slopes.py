"""Paired slopes: what each seed does from the reference to a setting."""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING

from reports.figures.drawing import COLOURS, GREY, Drawing, blank, brief, fitted, text_width, undrawn
from reports.formats import paragraph
from reports.frame import tally
from reports.language import tr

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from reports.analysis import Analysis
    from reports.comparison import Contrast

MOST = 8  # settings
NARROWEST = 54.0  # points of a panel


def slopes(analysis: Analysis, width: float) -> Drawing | None:
    """Return one panel for each setting; None where no setting shares two seeds with what it is compared with."""
    metric = analysis.plan.metric
    known = [row for row in analysis.comparison.contrasts if row.n >= 2 and row.estimate is not None]
    if not known:
        return None
    kept = {row.setting for row in sorted(known, key=_size, reverse=True)[:MOST]}
    rows = [row for row in known if row.setting in kept]
    scores = tally(analysis.runs, metric.name)
    name = brief(analysis.plan)
    whole = 72 * width - 40
    room = max(NARROWEST, *(text_width(name[row.setting], 6.5) for row in rows))
    n_columns = min(max(int(whole / (room + 8)), 2), len(rows))
    n_rows = ceil(len(rows) / n_columns)
    n_columns = ceil(len(rows) / n_rows)  # as many in each row
    room = whole / n_columns - 8
    names = fitted([name[row.setting] for row in rows], room)
    height = 0.45 + (1.25 if n_rows == 1 else 1.0) * n_rows
    figure = blank(width, height)
    panels = figure.subplots(n_rows, n_columns, sharey=True, squeeze=False)
    for axes, row, title in zip(panels.flat, rows, names, strict=False):
        _panel(axes, row, (fitted([name[row.against]], room)[0], title), scores, metric.scale)
    for axes in list(panels.flat)[len(rows) :]:
        axes.set_visible(False)
    figure.supylabel(fitted([metric.header], 72 * height - 40, 7)[0], fontsize=7)
    agree = [f"{row.setting} {row.wins}/{row.n}" for row in rows]
    parts = [tr("Thin: one line a seed. Thick: the mean.")]
    if any(row.verdict in ("better", "worse") for row in rows):
        parts.append(tr("Green: better; orange: worse, after correction for the number of comparisons."))
    if len(rows) < len(known):
        parts.append(tr("The {n} settings with the largest differences of {all}.", n=len(rows), all=len(known)))
    lacking = [row.setting for row in analysis.comparison.contrasts if row not in known]
    return Drawing(
        "slopes", tr("Do all seeds agree?"),
        tr("Seeds on which each setting is better than what it is compared with: {found}.", found=tr(", ").join(agree)),
        paragraph([*parts, *undrawn(lacking, analysis.comparison.failed)]), figure,
    )  # fmt: skip


def _size(row: Contrast) -> float:
    return abs(row.estimate.value) if row.estimate else 0.0


def _panel(
    axes: Axes, row: Contrast, names: tuple[str, str], scores: dict[str, dict[int, float]], scale: float
) -> None:
    left, right = scores[row.against], scores[row.setting]
    shared = sorted(set(left) & set(right))
    colour = COLOURS[row.verdict or "inconclusive"]
    for seed in shared:
        ends = [left[seed] * scale, right[seed] * scale]
        axes.plot([0, 1], ends, color=GREY, linewidth=0.6, marker="o", markersize=1.8)
    means = [sum(one[seed] for seed in shared) / len(shared) * scale for one in (left, right)]
    axes.plot([0, 1], means, color=colour, linewidth=2, marker="o", markersize=3.5)
    axes.set_xlim(-0.3, 1.3)
    axes.set_xticks([-0.3], [names[0]], ha="left")
    axes.tick_params(axis="x", length=0)
    axes.set_title(names[1], fontsize=6.5, loc="right")
    axes.grid(visible=False, axis="x")
