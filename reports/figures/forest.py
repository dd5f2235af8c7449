"""Forest plot: each difference with its interval, beside what could have been found."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reports.figures.drawing import COLOURS, GREY, MARKERS, Drawing, blank, brief, fitted
from reports.formats import clauses, few, fixed, listed, paragraph, percent, quoted
from reports.language import tr
from reports.sentences import partners
from reports.tables.columns import several_partners

if TYPE_CHECKING:
    from collections.abc import Callable

    from matplotlib.axes import Axes

    from reports.analysis import Analysis
    from reports.comparison import Contrast, Verdict

MOST = 40  # rows; a page has no room for more
ROOM = 3.0  # inches from which differences are written beside their intervals


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
    for y, row in enumerate(rows):
        _draw(axes, y, row, analysis, written=width >= ROOM)
    name = brief(analysis.plan)
    axes.set_yticks(range(len(rows)), fitted([name[row.setting] for row in rows], 0.36 * 72 * width))
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.grid(visible=False, axis="y")
    better = "→" if metric.higher_is_better else "←"
    unit = f" [{metric.difference_unit}]" if metric.difference_unit else ""
    axes.set_xlabel(tr("Δ {metric}{unit}; better {arrow}", metric=metric.name, unit=unit, arrow=better))
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


def _draw(axes: Axes, y: int, row: Contrast, analysis: Analysis, *, written: bool) -> None:
    estimate, scale = row.estimate, analysis.plan.metric.scale
    if estimate is None:
        return
    verdict = row.verdict or "inconclusive"
    colour = COLOURS[verdict]
    value = estimate.value * scale
    text = fixed(value, analysis.decimals, signed=True)
    # A race shows no intervals: its seeds stop where a setting looks bad.
    if estimate.low is not None and estimate.high is not None and analysis.comparison.race is None:
        low, high = estimate.low * scale, estimate.high * scale
        axes.plot([low, high], [y, y], color=colour, linewidth=1.1, solid_capstyle="butt")
        text += f" [{fixed(low, analysis.decimals, signed=True)}, {fixed(high, analysis.decimals, signed=True)}]"
    axes.plot(
        [value],
        [y],
        MARKERS[verdict],
        color=colour,
        markersize=4,
        markerfacecolor=colour if row.verdict and verdict != "inconclusive" else "white",
    )
    if written:
        axes.text(1.02, y, text, transform=axes.get_yaxis_transform(), va="center", fontsize=6.2)


def _alt(known: list[Contrast], analysis: Analysis) -> str:
    metric, found = analysis.plan.metric, []
    templates: tuple[tuple[Verdict, Callable[..., str]], ...] = (
        ("better", lambda names: tr("{names} better", names=names)),
        ("worse", lambda names: tr("{names} worse", names=names)),
    )
    for verdict, say in templates:
        named = [
            f"{row.setting} ({metric.difference(row.estimate.value, analysis.decimals)})"
            for row in known
            if row.verdict == verdict and row.estimate is not None
        ]
        if named:
            found.append(say(listed(named)))
    open_ones = [f"'{row.setting}'" for row in known if row.verdict in (None, "inconclusive", "equivalent")]
    if open_ones:
        found.append(tr("not told apart: {names}", names=few(open_ones)))
    return tr("Beside {partner}: {found}.", partner=partners(analysis.comparison), found=clauses(found))


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
        sizes = {row.detectable for row in comparison.tested if row.detectable is not None}
        if len(sizes) == 1:
            size = metric.size(sizes.pop(), analysis.decimals)
            parts.append(tr("Grey: effects of less than {size} would mostly have been missed.", size=size))
    elif comparison.race is None:
        parts.append(tr("One seed: noise is unknown, and nothing is tested."))
    if comparison.practical is not None:
        parts.append(tr("Dotted: the smallest difference that matters."))
    if comparison.failed:
        parts.append(tr("Not drawn, as runs failed: {names}.", names=quoted(comparison.failed)))
    if left_out:
        parts.append(tr("{n} settings between the largest and the smallest differences are left out.", n=left_out))
    return paragraph(parts)
