"""The matrix of pairs: every setting minus every other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from reports.captions import direction
from reports.formats import MISSING, counted, fixed, paragraph, percent
from reports.language import tr
from reports.tables.table import Column, Table

if TYPE_CHECKING:
    from reports.analysis import Analysis
    from reports.comparison import Comparison, Contrast
    from reports.tables.table import Emphasis

FEWEST, MOST = 3, 10  # settings; of two the main table says all, and more are too many columns


def pairs_table(analysis: Analysis) -> Table | None:
    """Return row minus column for each pair of settings; None for too few or too many, or where no pair is tested."""
    pairs, plan = analysis.pairs, analysis.plan
    if pairs is None or not pairs.tested or not FEWEST <= len(plan.settings) <= MOST:
        return None
    cells: dict[tuple[str, str], tuple[str, Emphasis | None]] = {}
    for contrast in pairs.contrasts:
        for sign in (1, -1):
            row, other = (contrast.setting, contrast.against)[::sign]
            cells[row, other] = _cell(contrast, sign, pairs, analysis)
    columns = []
    for other in plan.settings:
        found = [cells.get((label, other), (MISSING, None)) for label in plan.settings]
        emphasis = {i: one for i, (_, one) in enumerate(found) if one is not None}
        columns.append(Column(other, [cell for cell, _ in found], kind="difference", emphasis=emphasis))
    differ = [contrast.verdict in {"better", "worse"} for contrast in pairs.contrasts]
    note = tr("Pairs without a star may differ, too: these runs cannot tell.")
    if all(differ):
        note = tr("Every pair is told apart.")
    elif not any(differ):
        note = tr("No pair can be told apart.")
    return Table(
        key="pairs",
        title=tr("{study}, pairs", study=plan.study),
        question=plan.question,
        caption=_caption(analysis, pairs),
        body=(Column("", list(plan.settings), kind="words"), *columns),
        notes=(note,),
        frame=_figures(pairs),
    )


def _caption(analysis: Analysis, pairs: Comparison) -> str:
    plan, metric = analysis.plan, analysis.plan.metric
    level, unit, better = percent(1 - plan.level), metric.difference_unit, direction(metric)
    parts = [
        tr("Differences in {metric}, row − column, in {unit}, paired by seed; {better}.",
           metric=metric.name, unit=unit, better=better)
        if unit
        else tr("Differences in {metric}, row − column, paired by seed; {better}.", metric=metric.name, better=better),
        tr("*: p < {level} after Holm's correction over all {pairs}.", level=level, pairs=counted(pairs.n_tests, "pair")),
    ]  # fmt: skip
    if plan.practical is not None:
        margin = metric.size(plan.practical, analysis.decimals)
        parts.append(
            tr("≈: equivalent within ±{margin} by two one-sided tests at {level}, each for itself.",
               margin=margin, level=level)
        )  # fmt: skip
    return paragraph(parts)


def _cell(contrast: Contrast, sign: int, pairs: Comparison, analysis: Analysis) -> tuple[str, Emphasis | None]:
    if contrast.estimate is None:
        return MISSING, None
    metric = analysis.plan.metric
    shown = fixed(sign * contrast.estimate.value * metric.scale, analysis.decimals, signed=True)
    if contrast.verdict in {"better", "worse"}:
        is_better = (contrast.estimate.value * sign > 0) == pairs.higher_is_better
        return f"{shown}*", "better" if is_better else "worse"
    return f"{shown}{'≈' if contrast.verdict == 'equivalent' else ''}", "unsure"


def _figures(pairs: Comparison) -> pd.DataFrame:
    names = ("setting", "against", "n", "p", "p_adjusted", "p_equivalent", "verdict", "reason")
    return pd.DataFrame(
        [
            {name: getattr(contrast, name) for name in names}
            | {end: contrast.estimate and getattr(contrast.estimate, end) for end in ("value", "low", "high")}
            for contrast in pairs.contrasts
        ]
    )
