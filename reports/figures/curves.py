"""Learning curves: whether settings had learnt all they could when they were compared."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.ticker import MaxNLocator

from reports.figures.drawing import DASHES, GREY, LINES, Drawing, blank, brief, fitted, text_width, undrawn
from reports.formats import counted, fixed, paragraph
from reports.language import tr

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from matplotlib.axes import Axes

    from reports.analysis import Analysis

MOST = 8  # settings that are told apart


def curves(analysis: Analysis, points: pd.DataFrame | None, width: float) -> Drawing | None:
    """Return mean and spread after each epoch; None where there are fewer than two epochs."""
    stats = None if points is None else _stats(analysis, points)
    if stats is None or stats.index.get_level_values("epoch").nunique() < 2:
        return None
    plan, metric = analysis.plan, analysis.plan.metric
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
        axes.fill_between(one.index, one["low"], one["high"], color=LINES[i], alpha=0.15, linewidth=0, zorder=2)
    is_cut = _look_at_the_end(axes, stats)
    axes.set_xlabel(tr("epoch"))
    axes.set_ylabel(fitted([metric.header], 90, 7)[0])
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.margins(x=0.01)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=n_columns, handlelength=2.6)
    parts = [tr("Mean over seeds after each epoch; bands: ± one standard deviation, where there are several seeds.")]
    if is_cut:
        parts.append(tr("The scores shown are those of the second half of the epochs."))
    if len(told) < len(drawn):
        parts.append(tr("Grey: {settings}.", settings=counted(len(drawn) - len(told), "further setting")))
    lacking = [label for label in plan.settings if label not in drawn]
    return Drawing(
        "curves", tr("Had the settings finished learning?"), _alt(analysis, stats, drawn),
        paragraph([*parts, *undrawn(lacking, analysis.comparison.failed)]), figure,
    )  # fmt: skip


def _stats(analysis: Analysis, points: pd.DataFrame) -> pd.DataFrame:
    """Return mean and spread by setting and epoch: of complete runs, as where a run ends early the mean would jump."""
    points = points[np.isfinite(points["value"].astype(float))]
    done = {(label, seed) for label, seeds in analysis.done.items() for seed in seeds}
    trials = zip(points["setting"], points["seed"], strict=True)
    is_shown = [one in done and one[0] not in analysis.comparison.failed for one in trials]
    values = points[np.array(is_shown, dtype=bool)].groupby(["setting", "epoch"], sort=True)["value"]
    stats = values.agg(["mean", "std"]) * analysis.plan.metric.scale
    spread = stats["std"].fillna(0.0)
    return stats.assign(low=stats["mean"] - spread, high=stats["mean"] + spread)


def _look_at_the_end(axes: Axes, stats: pd.DataFrame) -> bool:
    """Leave scores of the first half of the epochs out of sight, and tell whether there are any."""
    epochs = stats.index.get_level_values("epoch")
    late = stats[epochs >= (epochs.min() + epochs.max()) / 2]
    low, high = float(late["low"].min()), float(late["high"].max())
    edge = 0.05 * (high - low)
    if not edge > 0:
        return False
    axes.set_ylim(low - edge, high + edge)
    return bool((stats["mean"] < low - edge).any() or (stats["mean"] > high + edge).any())


def _alt(analysis: Analysis, stats: pd.DataFrame, drawn: Sequence[str]) -> str:
    plan, metric, decimals = analysis.plan, analysis.plan.metric, analysis.decimals
    means = stats.pivot_table(index="epoch", columns="setting", values="mean")[list(drawn)]
    first, last = means.index[-1 - -(-len(means) // 4)], means.index[-1]
    changes = (means.loc[last] - means.loc[first]).dropna() / metric.scale
    parts = []
    if len(changes):
        low, high = (metric.difference(float(end), decimals) for end in (changes.min(), changes.max()))
        parts.append(
            tr("From epoch {first} to {last} the means change by {low} to {high}.", first=first, last=last, low=low, high=high)
        )  # fmt: skip
    ends = means.loc[last].dropna()
    best = str(ends.idxmax() if metric.higher_is_better else ends.idxmin())
    scores = [
        tr("{score} for '{label}'", score=fixed(float(ends[label]), decimals), label=label)
        for label in dict.fromkeys((best, plan.reference))
        if label in ends
    ]
    parts.append(tr("In the end the mean {metric} is {scores}.", metric=metric.header, scores=tr(", ").join(scores)))
    return paragraph(parts)
