"""Score against cost: which settings are worth what they cost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from matplotlib.transforms import Bbox

from reports.figures.drawing import COLOURS, GREY, Drawing, blank, brief, fitted, text_width, undrawn
from reports.formats import paragraph, percent, quoted
from reports.language import tr
from reports.pareto import cost_of_front, front
from reports.tables.columns import several_partners

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from matplotlib.axes import Axes

    from reports.analysis import Analysis

UNITS = {"latency_ms": (1.0, "ms"), "macs": (1e6, "M"), "params": (1e3, "k")}
SIZE = 6.2  # of names
# Where a name may stand: points from its point to its nearer end, and to its middle; the best first.
PLACES = tuple((side * dx, dy) for dx, dy in ((4, 5), (4, -5), (5, 0), (4, 11), (4, -11)) for side in (1, -1))


@dataclass(frozen=True)
class Mark:
    """A setting as it is drawn, in the units of the axes; its bar goes from `low` to `high`."""

    label: str
    cost: float
    score: float
    low: float
    high: float


def pareto(analysis: Analysis, width: float) -> Drawing | None:
    """Return the plot; None where no two settings differ in a cost."""
    cost = cost_of_front(analysis)
    best = front(analysis, cost) if cost else []
    if cost is None or not best:
        return None
    plan, metric = analysis.plan, analysis.plan.metric
    by_difference = _by_difference(analysis)
    marks = list(_marks(analysis, cost, by_difference=by_difference))
    figure = blank(width, 2.4)
    axes = figure.add_subplot()
    _draw(axes, marks, best)
    if by_difference:
        axes.axhline(
            next(one.score for one in marks if one.label == plan.reference), color=GREY, linewidth=0.7, linestyle=":"
        )
    name = {"latency_ms": tr("latency"), "macs": "MACs", "params": tr("parameters")}[cost]
    axes.set_xlabel(f"{name} [{UNITS[cost][1]}]")
    axes.set_ylabel(fitted([metric.header], 120, 7)[0])
    # Those on the front and the reference get a name in any case, the others where there is room.
    first = {*best, plan.reference}
    marks.sort(key=lambda one: one.label not in first)
    known = brief(plan)
    names = fitted([known[one.label] for one in marks], 0.4 * 72 * width, SIZE)
    n_named = _name(axes, names, marks, n_sure=sum(one.label in first for one in marks))
    parts = [
        tr("Filled: on the front of {metric} and {cost}, as far as all pairs tell.", metric=metric.name, cost=name)
    ]
    if by_difference:
        level = percent(analysis.comparison.level)
        parts.append(
            tr("Bars: {level} intervals of the difference from '{label}' (dotted).", level=level, label=plan.reference)
        )
    elif any(one.low < one.high for one in marks):
        parts.append(tr("Bars: ± one standard deviation over seeds."))
    if n_named < len(marks):
        parts.append(tr("Named are those on the front, and others where there is room."))
    lacking = [label for label in plan.settings if label not in {one.label for one in marks}]
    return Drawing(
        "pareto", tr("Which settings are worth their {cost}?", cost=name), tr("On the front: {names}.", names=quoted(best)),
        paragraph([*parts, *undrawn(lacking, analysis.comparison.failed)]), figure,
    )  # fmt: skip


def _by_difference(analysis: Analysis) -> bool:
    """Tell whether bars are intervals of the difference from the reference, since all are compared with it."""
    comparison = analysis.comparison
    return bool(comparison.tested) and comparison.race is None and not several_partners(comparison)


def _marks(analysis: Analysis, cost: str, *, by_difference: bool) -> Iterator[Mark]:
    """Yield the settings that are drawn: intervals of differences stand around the reference's score."""
    measured = analysis.measurements.set_index("setting")
    shown = measured[measured["mean"].notna() & ~measured.index.isin(list(analysis.comparison.failed))]
    scale = analysis.plan.metric.scale
    spread = shown["sd"].astype(float).fillna(0.0)
    low, high = shown["mean"] - spread, shown["mean"] + spread
    if by_difference:
        at = float(measured["mean"][analysis.plan.reference])
        low, high = ((at + shown[end].astype(float)).fillna(shown["mean"]) for end in ("low", "high"))
    for label, price, *ends in zip(shown.index, shown[cost], shown["mean"], low, high, strict=True):
        yield Mark(str(label), float(price) / UNITS[cost][0], *(float(end) * scale for end in ends))


def _draw(axes: Axes, marks: Sequence[Mark], best: Sequence[str]) -> None:
    for one in marks:
        colour = COLOURS["equivalent"] if one.label in best else GREY
        marker, size, face = ("o", 4, colour) if one.label in best else ("s", 3, "white")
        axes.plot([one.cost] * 2, [one.low, one.high], color=colour, linewidth=0.8)
        axes.plot([one.cost], [one.score], marker, color=colour, markersize=size, markerfacecolor=face)
    steps = sorted((one.cost, one.score) for one in marks if one.label in best)
    axes.step(*zip(*steps, strict=True), where="post", color=COLOURS["equivalent"], linewidth=0.8, linestyle="--")
    costs = [one.cost for one in marks]
    if min(costs) > 0 and max(costs) > 10 * min(costs):
        axes.set_xscale("log")
    axes.margins(0.12)


def _name(axes: Axes, names: Sequence[str], marks: Sequence[Mark], *, n_sure: int) -> int:
    """Write names beside points, the first `n_sure` in any case, others where they cover nothing; return how many."""
    figure, pixels = axes.figure, axes.figure.dpi / 72
    figure.draw_without_rendering()  # type: ignore[union-attr]  # so that it is known where all is
    frame, at = axes.get_window_extent(), axes.transData.transform
    covered = [Bbox(at([(one.cost, one.low), (one.cost, one.high)])).padded(pixels) for one in marks]
    covered += [Bbox(at([(one.cost, one.score)] * 2)).padded(2.5 * pixels) for one in marks]
    written: list[Bbox] = []
    for i, (name, one) in enumerate(zip(names, marks, strict=True)):
        x, y = at((one.cost, one.score))
        wide, high = text_width(name, SIZE) * pixels, 1.15 * SIZE * pixels
        trials: list[tuple[int, int, Bbox]] = []
        for dx, dy in PLACES:
            box = Bbox.from_bounds(x + dx * pixels - (wide if dx < 0 else 0), y + dy * pixels - high / 2, wide, high)
            is_inside = frame.x0 <= box.x0 and box.x1 <= frame.x1 and frame.y0 <= box.y0 and box.y1 <= frame.y1
            # Names on names are the worst; outside there are the numbers of the axes.
            hits = 100 * box.count_overlaps(written) + 10 * (not is_inside) + box.count_overlaps(covered)
            trials.append((hits, len(trials), box))
        hits, place, box = min(trials, key=lambda trial: trial[:2])
        if hits and i >= n_sure:
            continue
        axes.annotate(
            name, (one.cost, one.score), xytext=PLACES[place], textcoords="offset points",
            ha="right" if PLACES[place][0] < 0 else "left", va="center", fontsize=SIZE, annotation_clip=False,
        )  # fmt: skip
        written.append(box)
    return len(written)
