"""Columns that several tables have: names of settings, scores, differences, p-values, costs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import pandas as pd

from reports.formats import MISSING, count, fixed, magnitude, milliseconds, percent, probability
from reports.language import tr
from reports.ranks import ranked
from reports.tables.table import Column

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reports.analysis import Analysis
    from reports.comparison import Comparison, Contrast
    from reports.formats import Metric
    from reports.tables.table import Emphasis

COSTS = {"params": ("params", count), "macs": ("MACs", magnitude), "latency_ms": ("ms", milliseconds)}
P_VALUES = {"holm": "p (Holm)", "dunnett": "p (Dunnett)", "sequential": "p (sequential)"}
EMPHASIS: dict[str | None, Emphasis] = {
    "better": "better",
    "worse": "worse",
    "inconclusive": "unsure",
    "equivalent": "unsure",
}


def bracketed(level: float) -> str:
    """Return what stands in a header for the intervals below."""
    return tr("[{level} interval]", level=percent(level))


def verdict_words(verdict: str | None) -> str:
    """Return a verdict, as it is kept, in the words of a table."""
    return MISSING if verdict is None else tr(verdict)


def several_partners(comparison: Comparison) -> bool:
    """Tell whether rows are compared with different ones."""
    return bool({contrast.against for contrast in comparison.rows.values()} - {comparison.reference})


def label_columns(analysis: Analysis) -> Iterator[Column]:
    """Yield what names the settings: the slots that vary, and the label itself where these do not do."""
    slots, figures = analysis.plan.slots, analysis.measurements
    labels = [str(label) for label in figures["setting"]]
    if len(slots) == 1:
        yield Column(slots[0], labels, kind="words")
        return
    varying = [slot for slot in slots if len(figures[f"slot.{slot}"].unique()) > 1]
    names = [f"slot.{slot}" for slot in varying]
    # A setting without a run has no slots in the frame, only its label.
    clear = varying and not figures[names].isna().all(axis=1).any() and not figures.duplicated(names).any()
    if not clear:
        yield Column(tr("setting"), labels, kind="words")
    for slot, name in zip(varying, names, strict=True):
        yield Column(slot, [MISSING if pd.isna(value) else str(value) for value in figures[name]], kind="words")


def score_column(analysis: Analysis, secondary: Metric | None = None) -> Column:
    """Return mean ± SD, with † where the surviving seeds are a selection."""
    metric, prefix = (analysis.plan.metric, "") if secondary is None else (secondary, f"{secondary.name}_")
    figures, failed = analysis.measurements, analysis.comparison.failed
    means, sds = figures[f"{prefix}mean"], figures[f"{prefix}sd"]
    decimals = analysis.decimals if secondary is None else metric.decimals(sds)
    cells = [
        score(mean, sd, metric, decimals, failed=setting in failed)
        for setting, mean, sd in zip(figures["setting"], means, sds, strict=True)
    ]
    emphasis = {}
    if secondary is None:
        ranks = ranked(analysis)
        emphasis = {i: ranks[label] for i, label in enumerate(figures["setting"]) if label in ranks}
    better: Literal["higher", "lower"] = "higher" if metric.higher_is_better else "lower"
    return Column(metric.header, cells, kind="score", better=better, emphasis=emphasis)


def difference_column(analysis: Analysis, header: str = "Δ") -> Column:
    """Return each setting's difference from what it is compared with, with its interval where there is one."""
    comparison, metric = analysis.comparison, analysis.plan.metric
    rows = [comparison.rows.get(setting) for setting in analysis.plan.settings]
    # A race shows no intervals, not even those of its A/A pairs.
    has_interval = comparison.race is None and any(row is not None and row.p is not None for row in rows)
    interval = bracketed(comparison.level) if has_interval else ""
    cells = [difference(row, metric, analysis.decimals, brackets=has_interval) for row in rows]
    emphasis = {
        i: EMPHASIS[row.verdict]
        for i, row in enumerate(rows)
        if row is not None and row.verdict and comparison.race is None
    }
    name = " ".join([header, *filter(None, [metric.difference_unit, interval])])
    return Column(name, cells, kind="difference", emphasis=emphasis)


def probability_column(analysis: Analysis) -> Column:
    """Return the p-values, corrected for the number of comparisons."""
    rows = (analysis.comparison.rows.get(setting) for setting in analysis.plan.settings)
    p_values = [MISSING if row is None else probability(row.p_adjusted) for row in rows]
    return Column(tr(P_VALUES[analysis.comparison.correction]), p_values, kind="probability")


def cost_columns(analysis: Analysis) -> Iterator[Column]:
    """Yield parameters, multiply-accumulates and latency."""
    for cost, (header, show) in COSTS.items():
        cells = [show(value) for value in analysis.measurements[cost]]
        yield Column(tr(header), cells, group=tr("cost"), better="lower")


def score(mean: float, sd: float, metric: Metric, decimals: int, *, failed: bool) -> str:
    """Return a mean, with ± its standard deviation where there is one, and † where the setting has failed runs."""
    cell = fixed(mean * metric.scale, decimals)
    if pd.notna(sd):
        cell += f" ± {fixed(sd * metric.scale, decimals)}"
    return f"{cell} †" if failed and cell != MISSING else cell


def difference(contrast: Contrast | None, metric: Metric, decimals: int, *, brackets: bool) -> str:
    """Return a difference in words; that of the reference is its name."""
    if contrast is None:
        return tr("reference")
    if contrast.estimate is None:
        return MISSING
    value, low, high = (
        None if figure is None else figure * metric.scale
        for figure in (contrast.estimate.value, contrast.estimate.low, contrast.estimate.high)
    )
    delta = fixed(value, decimals, signed=True)
    if low is None or high is None or not brackets:
        return delta
    return f"{delta} [{fixed(low, decimals, signed=True)}, {fixed(high, decimals, signed=True)}]"
