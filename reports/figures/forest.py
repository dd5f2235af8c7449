"""Forest plot: each difference with its interval, beside what could have been found."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reports.figures.drawing import COLOURS, GREY, MARKERS, Drawing, blank, brief, fitted, text_width, undrawn
from reports.formats import clauses, fixed, paragraph, percent, some
from reports.language import tr
from reports.sentences import partners
from reports.tables.columns import several_partners

if TYPE_CHECKING:
    from collections.abc import Callable

    from matplotlib.axes import Axes

    from reports.analysis import Analysis
    from reports.comparison import Contrast

MOST = 40  # rows; a page has no room for more
WRITTEN = 6.2  # points of the differences in figures
ROOM = 60.0  # points that intervals need; what is left is for names and figures


def forest(analysis: Analysis, width: float) -> Drawing | None:
    """Return the plot; None where no difference is known."""
    comparison, metric = analysis.comparison, analysis.plan.metric
    known = [row for row in comparison.contrasts if row.estimate is not None]
    if not known:
        return None
    rows, left_out = _shown(known)
    figure = blank(width, 0.75 + 0.17 * len(rows))
    axes = figure.add_subplot()
    sizes = {row.detectable for row in rows if row.detectable is not None}
    if len(sizes) == 1 and comparison.race is None:
        band = sizes.pop() * metric.scale
        axes.axvspan(-band, band, color="#EFEFEF", linewidth=0, zorder=0)
    axes.axvline(0, color="#222222", linewidth=0.7)
    if comparison.practical is not None:
        for sign in (-1, 1):
            axes.axvline(sign * comparison.practical * metric.scale, color=GREY, linewidth=0.7, linestyle=":")
    name = brief(analysis.plan)
    names = fitted([name[row.setting] for row in rows], 0.36 * 72 * width)
    texts = [_draw(axes, y, row, analysis) for y, row in enumerate(rows)]
    if _widest(names, 6.5) + _widest(texts, WRITTEN) + ROOM <= 72 * width:
        for y, text in enumerate(texts):
            axes.text(1.02, y, text, transform=axes.get_yaxis_transform(), va="center", fontsize=WRITTEN)
    axes.set_yticks(range(len(rows)), names)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.grid(visible=False, axis="y")
    better = "→" if metric.higher_is_better else "←"
    unit = f" [{metric.difference_unit}]" if metric.difference_unit else ""
    label = tr("Δ {metric}{unit}; better {arrow}", metric=metric.name, unit=unit, arrow=better)
    axes.set_xlabel(fitted([label], 0.5 * 72 * width, 7)[0])
    title = (
        tr("Which settings differ from what they are compared with?")
        if several_partners(comparison)
        else tr("Which settings differ from {partner}?", partner=partners(comparison))
    )
    return Drawing(
        "forest", title, _alt(known, analysis),
        _caption(analysis, left_out), figure,
    )  # fmt: skip


def _shown(known: list[Contrast]) -> tuple[list[Contrast], int]:
    """Return the contrasts that are drawn, of many the largest and the smallest, and how many are left out."""
    if len(known) <= MOST:
        return known, 0
    order = sorted(known, key=lambda row: row.estimate.value if row.estimate else 0.0)
    kept = {row.setting for row in (*order[: MOST // 2], *order[-MOST // 2 :])}
    return [row for row in known if row.setting in kept], len(known) - MOST


def _draw(axes: Axes, y: int, row: Contrast, analysis: Analysis) -> str:
    """Draw a difference with its interval, and return both as text."""
    estimate, scale = row.estimate, analysis.plan.metric.scale
    if estimate is None:
        return ""
    verdict = row.verdict or "inconclusive"
    colour = COLOURS[verdict]
    value = estimate.value * scale
    text = fixed(value, analysis.decimals, signed=True)
    # A race shows no intervals: its seeds stop where a setting looks bad.
    if estimate.low is not None and estimate.high is not None and analysis.comparison.race is None:
        low, high = estimate.low * scale, estimate.high * scale
        axes.plot([low, high], [y, y], color=colour, linewidth=1.1, solid_capstyle="butt")
        text += f" [{fixed(low, analysis.decimals, signed=True)}, {fixed(high, analysis.decimals, signed=True)}]"
    face = "white" if verdict == "inconclusive" else colour
    axes.plot([value], [y], MARKERS[verdict], color=colour, markersize=4, markerfacecolor=face)
    return text


def _widest(texts: list[str], size: float) -> float:
    return max(text_width(text, size) for text in texts)


def _alt(known: list[Contrast], analysis: Analysis) -> str:
    metric, named = analysis.plan.metric, dict[str | None, list[str]]()
    for row in known:
        if row.estimate is not None:
            text = f"{row.setting} ({metric.difference(row.estimate.value, analysis.decimals)})"
            named.setdefault(row.verdict, []).append(text)
    said: dict[str | None, Callable[[str], str]] = {
        "better": lambda names: tr("{names} better", names=names),
        "worse": lambda names: tr("{names} worse", names=names),
        "equivalent": lambda names: tr("{names} equivalent", names=names),
        "inconclusive": lambda names: tr("not told apart: {names}", names=names),
        None: lambda names: tr("not tested: {names}", names=names),
    }
    found = clauses([say(some(named[verdict])) for verdict, say in said.items() if verdict in named])
    return tr("Beside {partner}: {found}.", partner=partners(analysis.comparison), found=found)


def _caption(analysis: Analysis, left_out: int) -> str:
    comparison, metric = analysis.comparison, analysis.plan.metric
    parts = [tr("Difference in {metric}, paired by seed.", metric=metric.name)]
    if several_partners(comparison):
        name = brief(analysis.plan)
        pairs = ", ".join(f"{name[row.setting]} − {name[row.against]}" for row in comparison.contrasts)
        parts.append(tr("From the top: {pairs}.", pairs=pairs))
    if comparison.tested and comparison.race is None:
        parts.append(tr("Bars: {level} intervals.", level=percent(comparison.level)))
        parts.append(
            tr("Triangles: better or worse after correction for the number of comparisons; circles: inconclusive.")
        )
        if any(row.verdict == "equivalent" for row in comparison.tested):
            parts.append(tr("Squares: equivalent within the smallest difference that matters."))
        sizes = {row.detectable for row in comparison.tested if row.detectable is not None}
        if len(sizes) == 1:
            size = metric.size(sizes.pop(), analysis.decimals)
            parts.append(tr("Grey: effects of less than {size} would mostly have been missed.", size=size))
    elif comparison.race is None:
        parts.append(tr("One seed: noise is unknown, and nothing is tested."))
    if comparison.practical is not None:
        parts.append(tr("Dotted: the smallest difference that matters."))
    parts.extend(undrawn([row.setting for row in comparison.contrasts if row.estimate is None], comparison.failed))
    if left_out:
        parts.append(tr("{n} settings between the largest and the smallest differences are left out.", n=left_out))
    return paragraph(parts)
