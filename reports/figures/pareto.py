"""Score against cost: which settings are worth what they cost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from reports.figures.drawing import COLOURS, GREY, Drawing, blank, brief, fitted
from reports.formats import paragraph, some
from reports.language import tr
from reports.pareto import cost_of_front, front

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from reports.analysis import Analysis

UNITS = {"latency_ms": (1.0, "ms"), "macs": (1e6, "M"), "params": (1e3, "k")}
PLACES = [(4, 4, "left"), (4, -9, "left"), (-4, 4, "right"), (-4, -9, "right"), (7, -2, "left"), (-7, -2, "right"), (0, 8, "center"), (0, -13, "center")]  # fmt: skip


def pareto(analysis: Analysis, width: float) -> Drawing | None:
    """Return the plot; None where no two settings differ in a cost."""
    cost = cost_of_front(analysis)
    if cost is None:
        return None
    plan, metric = analysis.plan, analysis.plan.metric
    scale, unit = UNITS[cost]
    best = front(analysis, cost)
    figures = analysis.measurements
    shown = figures[figures["mean"].notna() & ~figures["setting"].isin(list(analysis.comparison.failed))]
    if shown.empty:
        return None
    figure = blank(width, 2.4)
    axes = figure.add_subplot()
    x, y = (shown[cost] / scale).tolist(), (shown["mean"] * metric.scale).tolist()
    for at, score, row in zip(x, y, shown.itertuples(), strict=True):
        low, high = _ends(row, plan.reference, metric.scale, score)
        on = row.setting in best
        colour = COLOURS["equivalent"] if on else GREY
        axes.plot([at, at], [low, high], color=colour, linewidth=0.8)
        axes.plot(
            [at],
            [score],
            "o" if on else "s",
            color=colour,
            markersize=4 if on else 3,
            markerfacecolor=colour if on else "white",
        )
    line = sorted((at, score) for at, score, label in zip(x, y, shown["setting"], strict=True) if label in best)
    axes.step(
        [at for at, _ in line],
        [score for _, score in line],
        where="post",
        color=COLOURS["equivalent"],
        linewidth=0.8,
        linestyle="--",
        zorder=0,
    )
    if min(x) > 0 and max(x) > 10 * min(x):
        axes.set_xscale("log")
    axes.margins(0.12)
    names = {"latency_ms": tr("latency"), "macs": "MACs", "params": tr("parameters")}
    axes.set_xlabel(f"{names[cost]} [{unit}]")
    axes.set_ylabel(metric.header)
    points = list(zip(x, y, shown["setting"], strict=True))
    # Those on the front first: they get a name in any case, the others where there is room.
    order = sorted(points, key=lambda point: point[2] not in best)
    n_named = _name(figure, axes, order, brief(plan), n_sure=len(best))
    caption = tr(
        "Filled: on the front of {metric} and {cost}, as far as all pairs tell; bars: intervals of the difference from '{reference}', or one standard deviation.",
        metric=metric.name,
        cost=names[cost],
        reference=plan.reference,
    )
    if n_named < len(shown):
        caption = paragraph([caption, tr("Named are those on the front, and others where there is room.")])
    return Drawing(
        "pareto", tr("Which settings are worth their {cost}?", cost=names[cost]),
        tr("On the front: {names}.", names=some([tr("'{label}'", label=label) for label in best])) if best else tr("No setting is complete."), caption, figure,
    )  # fmt: skip


def _ends(row: Any, reference: str, scale: float, score: float) -> tuple[float, float]:
    """Return the ends of the interval of a score: that of its difference, around itself, or one standard deviation."""
    if row.setting != reference and pd.notna(row.low) and pd.notna(row.high):
        half = (row.high - row.low) / 2 * scale
    else:
        half = row.sd * scale if pd.notna(row.sd) else 0.0
    return score - half, score + half


def _name(
    figure: Figure, axes: Axes, points: Sequence[tuple[float, float, str]], names: Mapping[str, str], *, n_sure: int
) -> int:
    """Write names beside points, the first `n_sure` in any case, others where they cover nothing; return how many."""
    named, room = 0, 0.4 * 72 * float(figure.get_size_inches()[0])
    figure.draw_without_rendering()
    renderer = figure.canvas.get_renderer()  # type: ignore[attr-defined]
    taken = [axes.transData.transform((at, score)) for at, score, _ in points]
    boxes: list[Any] = []
    frame = axes.get_window_extent(renderer)
    for i, (at, score, label) in enumerate(points):
        trials: list[tuple[int, int, Any, Any]] = []
        short = fitted([names[label]], room, 6.2)[0]
        for dx, dy, side in PLACES:
            text = axes.annotate(
                short,
                (at, score),
                xytext=(dx, dy),
                textcoords="offset points",
                ha=side,
                fontsize=6.2,
                annotation_clip=False,
            )
            box = text.get_window_extent(renderer)
            hits = sum(box.overlaps(other) for other in boxes) + sum(box.contains(*point) for point in taken)
            outside = not (frame.x0 <= box.x0 and box.x1 <= frame.x1 and frame.y0 <= box.y0 and box.y1 <= frame.y1)
            trials.append((2 * hits + outside, len(trials), text, box))
        best = min(trials, key=lambda one: one[:2])
        is_kept = best[0] == 0 or i < n_sure
        for one in trials:
            if one is not best or not is_kept:
                one[2].remove()
        if is_kept:
            boxes.append(best[3])
            named += 1
    return named
