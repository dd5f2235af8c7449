"""Learning curves: whether settings had learnt all they could when they were compared."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matplotlib.ticker import MaxNLocator

from reports.figures.drawing import DASHES, GREY, LINES, Drawing, blank, brief, fitted, text_width
from reports.formats import paragraph
from reports.language import tr

if TYPE_CHECKING:
    import pandas as pd

    from reports.analysis import Analysis

MOST = 8  # settings that are told apart


def curves(analysis: Analysis, points: pd.DataFrame | None, width: float) -> Drawing | None:
    """Return mean and spread after each epoch; None where there are fewer than two epochs."""
    if points is None or points.empty or points["epoch"].nunique() < 2:
        return None
    plan, metric = analysis.plan, analysis.plan.metric
    stats = points.groupby(["setting", "epoch"], sort=True)["value"].agg(["mean", "std", "count"]) * [
        metric.scale,
        metric.scale,
        1,
    ]
    drawn = [label for label in plan.settings if label in stats.index.get_level_values(0)]
    sizes = {row.setting: abs(row.estimate.value) for row in analysis.comparison.contrasts if row.estimate is not None}
    order = sorted(drawn, key=lambda label: (label != plan.reference, -sizes.get(label, 0.0)))
    told = [label for label in drawn if label in order[:MOST]]
    known = brief(plan)
    names = fitted([known[label] for label in told], 72 * width - 60)
    n_columns = max(1, int(72 * width / (max(text_width(one, 6.5) for one in names) + 44)))
    figure = blank(width, 2.1 + 0.12 * -(-len(told) // n_columns))
    axes = figure.add_subplot()
    for label in drawn:
        if label not in told:
            axes.plot(stats.loc[label].index, stats.loc[label]["mean"], color=GREY, linewidth=0.5, zorder=1)
    for i, (label, name) in enumerate(zip(told, names, strict=True)):
        one = stats.loc[label]
        axes.plot(one.index, one["mean"], color=LINES[i], linestyle=DASHES[i], label=name, zorder=3)
        spread = one["std"].fillna(0.0)
        axes.fill_between(
            one.index, one["mean"] - spread, one["mean"] + spread, color=LINES[i], alpha=0.15, linewidth=0, zorder=2
        )
    axes.set_xlabel(tr("epoch"))
    axes.set_ylabel(metric.header)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.margins(x=0.01)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=n_columns, handlelength=2.6)
    last = stats.groupby(level=0).tail(1).droplevel(1)
    best = str(last["mean"].idxmax() if metric.higher_is_better else last["mean"].idxmin())
    caption = tr("Mean over seeds after each epoch; bands: ± one standard deviation, where there are several seeds.")
    if len(told) < len(drawn):
        caption = paragraph([caption, tr("Grey: {n} further settings.", n=len(drawn) - len(told))])
    return Drawing(
        "curves", tr("Had the settings finished learning?"),
        tr(
            "After the last epoch {best} is at {score:.2f}, {reference} at {other:.2f} ({unit}).",
            best=best, score=last["mean"][best], reference=plan.reference,
            other=last["mean"].get(plan.reference, float("nan")), unit=metric.header,
        ),
        caption, figure,
    )  # fmt: skip
